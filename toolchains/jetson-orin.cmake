# Jetson Orin: Cortex-A78AE. QEMU 7.2 does not know it; Neoverse N1 has the same instructions.
set(FT_TARGET_ARCH arm64)
set(FT_CPU_FLAGS "-mcpu=cortex-a78ae")
set(FT_QEMU_CPU neoverse-n1)
include(${CMAKE_CURRENT_LIST_DIR}/debian_cross.cmake)
