# Writes boards_text.cpp: every profile of this folder as text in the binary, so that nothing is
# looked up at run time. ft_embed_boards(OUTPUT)
function(ft_embed_boards output)
  file(GLOB files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/boards/*.toml)
  set(entries "")
  foreach(file IN LISTS files)
    get_filename_component(name ${file} NAME_WE)
    file(READ ${file} text)
    string(APPEND entries "    {\"${name}\", R\"toml(${text})toml\"},\n")
    set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  endforeach()
  file(CONFIGURE OUTPUT ${output} @ONLY CONTENT
"// Made by boards/embed.cmake from boards/*.toml.
#include \"runtime/node/board_profile.h\"

namespace ft {
std::vector<BoardText> board_texts() {
  return {
@entries@  };
}
}  // namespace ft
")
endfunction()
