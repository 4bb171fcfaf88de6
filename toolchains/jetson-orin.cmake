# Jetson Orin: Cortex-A78AE.
set(FT_BOARD jetson-orin)
include(${CMAKE_CURRENT_LIST_DIR}/debian_cross.cmake)
