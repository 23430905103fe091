# SPDX-License-Identifier: MIT
# Compiler flags. What must hold for every object (sanitizers, hardening) is set globally; warnings belong to
# the interface target sluice_warnings, so that generated code of others is compiled without them.
include(CheckCCompilerFlag)
include(CheckLinkerFlag)

add_compile_options(-fno-omit-frame-pointer)
# -fPIE rather than -fPIC: thread-local variables are cheaper to reach. Who wants libsluice.a inside a shared
# library sets CMAKE_POSITION_INDEPENDENT_CODE.
if(NOT CMAKE_POSITION_INDEPENDENT_CODE)
  add_compile_options(-fPIE)
endif()
add_link_options(-pie)
add_compile_definitions($<$<COMPILE_LANGUAGE:C>:_GNU_SOURCE=>)

add_library(sluice_warnings INTERFACE)
target_compile_options(sluice_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:C,CXX>:-Wall>
  $<$<COMPILE_LANGUAGE:C,CXX>:-Wextra>
  $<$<COMPILE_LANGUAGE:C,CXX>:-Wpedantic>
  $<$<COMPILE_LANGUAGE:C,CXX>:-Wshadow>
  $<$<COMPILE_LANGUAGE:C,CXX>:-Wvla>
  $<$<COMPILE_LANGUAGE:C,CXX>:-Wformat=2>
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
  $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>)
if(SLUICE_WERROR)
  target_compile_options(sluice_warnings INTERFACE $<$<COMPILE_LANGUAGE:C,CXX>:-Werror>)
endif()

if(SLUICE_SANITIZE)
  add_compile_options(-fsanitize=${SLUICE_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${SLUICE_SANITIZE})
endif()

# Adds a compile flag for C and C++ where the compiler has it. -Werror makes clang refuse what it only ignores.
function(sluice_compile_flag flag)
  string(MAKE_C_IDENTIFIER "SLUICE_HAS_${flag}" result)
  set(CMAKE_REQUIRED_FLAGS "-Werror")
  check_c_compiler_flag(${flag} ${result})
  if(${result})
    add_compile_options($<$<COMPILE_LANGUAGE:C,CXX>:${flag}>)
  endif()
endfunction()

# Short copies and clearings inline, by vectors: what gcc takes by itself (rep movs, rep stos) needs tens of cycles to begin,
# and an event that is cleared or copied takes a dozen. clang does so anyway.
foreach(what memset memcpy)
  sluice_compile_flag(-m${what}-strategy=vector_loop:256:noalign,libcall:-1:noalign)
endforeach()

function(sluice_link_flag flag)
  string(MAKE_C_IDENTIFIER "SLUICE_HAS_${flag}" result)
  check_linker_flag(C ${flag} ${result})
  if(${result})
    add_link_options(${flag})
  endif()
endfunction()

# The sanitizers replace the same functions as _FORTIFY_SOURCE and want variables uninitialised.
if(SLUICE_HARDENING AND NOT SLUICE_SANITIZE)
  sluice_compile_flag(-fstack-protector-strong)
  sluice_compile_flag(-fstack-clash-protection)
  sluice_compile_flag(-fcf-protection)
  sluice_compile_flag(-ftrivial-auto-var-init=zero)
  # Needs optimisation; every build type of ours has it.
  add_compile_options($<$<COMPILE_LANGUAGE:C,CXX>:-U_FORTIFY_SOURCE> $<$<COMPILE_LANGUAGE:C,CXX>:-D_FORTIFY_SOURCE=3>)
  sluice_link_flag(-Wl,-z,relro)
  sluice_link_flag(-Wl,-z,now)
  sluice_link_flag(-Wl,-z,noexecstack)
endif()
