# Jetson Nano: Cortex-A57.
set(FT_BOARD jetson-nano)
include(${CMAKE_CURRENT_LIST_DIR}/debian_cross.cmake)
