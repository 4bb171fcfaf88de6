# Any 32-bit ARMv7 board: Debian armhf's baseline, which has no NEON; the loops use it where the core has.
set(FT_BOARD generic-armhf)
include(${CMAKE_CURRENT_LIST_DIR}/debian_cross.cmake)
