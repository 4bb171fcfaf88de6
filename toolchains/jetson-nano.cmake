# Jetson Nano: Cortex-A57.
set(FT_TARGET_ARCH arm64)
set(FT_CPU_FLAGS "-mcpu=cortex-a57")
set(FT_QEMU_CPU cortex-a57)
include(${CMAKE_CURRENT_LIST_DIR}/debian_cross.cmake)
