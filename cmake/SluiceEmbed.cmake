# SPDX-License-Identifier: MIT
# Puts files into the program. sluice_embed(OUT_C_FILE name=FILE ...) makes a C file with, for each,
#   const unsigned char NAME[] and const size_t NAME_bytes
# at build time, anew when a file changes. Run as a script (cmake -P) it does the work for one C file.
if(CMAKE_SCRIPT_MODE_FILE)
  set(text "/* SPDX-License-Identifier: MIT */\n/* Made by cmake/SluiceEmbed.cmake. */\n#include <stddef.h>\n\n")
  string(REPLACE "|" ";" PAIRS "${PAIRS}")
  foreach(pair ${PAIRS})
    string(REGEX MATCH "^([^=]+)=(.*)$" _ ${pair})
    set(name ${CMAKE_MATCH_1})
    file(READ ${CMAKE_MATCH_2} hex HEX)
    file(SIZE ${CMAKE_MATCH_2} bytes)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
    string(REGEX REPLACE "(................................................................................)" "\\1\n" hex "${hex}")
    string(APPEND text "extern const unsigned char ${name}[];\nextern const size_t ${name}_bytes;\n"
      "const unsigned char ${name}[] = {\n${hex}0};\nconst size_t ${name}_bytes = ${bytes};\n\n")
  endforeach()
  file(WRITE ${OUT} "${text}")
  return()
endif()

function(sluice_embed out)
  set(files "")
  foreach(pair ${ARGN})
    string(REGEX REPLACE "^[^=]+=" "" file ${pair})
    list(APPEND files ${file})
  endforeach()
  string(REPLACE ";" "|" pairs "${ARGN}")
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} "-DPAIRS=${pairs}" -DOUT=${out} -P ${PROJECT_SOURCE_DIR}/cmake/SluiceEmbed.cmake
    DEPENDS ${files} ${PROJECT_SOURCE_DIR}/cmake/SluiceEmbed.cmake
    VERBATIM)
endfunction()
