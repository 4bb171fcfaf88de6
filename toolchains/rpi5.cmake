# Raspberry Pi 5: Cortex-A76.
set(FT_BOARD raspberry-pi-5)
include(${CMAKE_CURRENT_LIST_DIR}/debian_cross.cmake)
