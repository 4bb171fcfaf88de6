# Any 32-bit ARMv7 board: Debian armhf's baseline, which has no NEON; the loops use it where the core has.
set(FT_TARGET_ARCH armhf)
set(FT_CPU_FLAGS "-march=armv7-a+fp -mfloat-abi=hard -mthumb")
set(FT_QEMU_CPU cortex-a7)
include(${CMAKE_CURRENT_LIST_DIR}/debian_cross.cmake)
