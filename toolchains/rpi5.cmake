# Raspberry Pi 5: Cortex-A76.
set(FT_TARGET_ARCH arm64)
set(FT_CPU_FLAGS "-mcpu=cortex-a76")
set(FT_QEMU_CPU cortex-a76)
include(${CMAKE_CURRENT_LIST_DIR}/debian_cross.cmake)
