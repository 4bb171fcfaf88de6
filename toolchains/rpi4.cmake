# Raspberry Pi 4, 64-bit system: Cortex-A72.
set(FT_BOARD raspberry-pi-4)
include(${CMAKE_CURRENT_LIST_DIR}/debian_cross.cmake)
