# Any 64-bit ARM board: one package for all of them. Tested as the oldest core of the list.
set(FT_BOARD generic-arm64)
include(${CMAKE_CURRENT_LIST_DIR}/debian_cross.cmake)
