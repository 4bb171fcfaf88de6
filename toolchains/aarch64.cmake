# Any 64-bit ARM board: one package for all of them. Tested as the oldest core of the list.
set(FT_TARGET_ARCH arm64)
set(FT_CPU_FLAGS "-march=armv8-a")
set(FT_QEMU_CPU cortex-a53)
include(${CMAKE_CURRENT_LIST_DIR}/debian_cross.cmake)
