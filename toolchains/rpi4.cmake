# Raspberry Pi 4, 64-bit system: Cortex-A72.
set(FT_TARGET_ARCH arm64)
set(FT_CPU_FLAGS "-mcpu=cortex-a72")
set(FT_QEMU_CPU cortex-a72)
include(${CMAKE_CURRENT_LIST_DIR}/debian_cross.cmake)
