# Raspberry Pi 3, 64-bit system: Cortex-A53.
set(FT_BOARD raspberry-pi-3)
include(${CMAKE_CURRENT_LIST_DIR}/debian_cross.cmake)
