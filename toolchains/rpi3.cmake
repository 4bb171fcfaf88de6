# Raspberry Pi 3, 64-bit system: Cortex-A53.
set(FT_TARGET_ARCH arm64)
set(FT_CPU_FLAGS "-mcpu=cortex-a53")
set(FT_QEMU_CPU cortex-a53)
include(${CMAKE_CURRENT_LIST_DIR}/debian_cross.cmake)
