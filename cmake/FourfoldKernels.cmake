# Kernel sources are compiled once per ISA level, in the namespace FOURFOLD_LEVEL:
#   baseline  what every CPU of this architecture has
#   v3        x86-64-v3: AVX2, FMA, F16C, BMI2
#   v4        x86-64-v4: AVX-512 F, BW, CD, DQ, VL
# FOURFOLD_X86_LEVELS is 1 in every source where v3 and v4 exist, else 0.
#
# FOURFOLD_ONE_LEVEL names one of them: it alone is built, under the name of the baseline. For sanitizers, whose build
# would take three times as long with all.
set(FOURFOLD_ONE_LEVEL "" CACHE STRING "Build this ISA level alone (for sanitizers)")
set(first_level_index 0)
if(FOURFOLD_ONE_LEVEL)
  set(FOURFOLD_LEVELS baseline)
  target_compile_definitions(fourfold_flags INTERFACE FOURFOLD_X86_LEVELS=0)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND NOT CMAKE_OSX_ARCHITECTURES MATCHES "arm64")
  set(FOURFOLD_LEVELS baseline v3 v4)
  target_compile_definitions(fourfold_flags INTERFACE FOURFOLD_X86_LEVELS=1)
else()
  set(FOURFOLD_LEVELS baseline)
  target_compile_definitions(fourfold_flags INTERFACE FOURFOLD_X86_LEVELS=0)
endif()
set(FOURFOLD_FLAGS_baseline "")
set(FOURFOLD_FLAGS_v3 -march=x86-64-v3)
set(FOURFOLD_FLAGS_v4 -march=x86-64-v4 -mprefer-vector-width=512)
if(FOURFOLD_ONE_LEVEL)
  set(FOURFOLD_FLAGS_baseline ${FOURFOLD_FLAGS_${FOURFOLD_ONE_LEVEL}})
  set(known_levels baseline v3 v4)
  list(FIND known_levels ${FOURFOLD_ONE_LEVEL} first_level_index)
  if(first_level_index EQUAL -1)
    message(FATAL_ERROR "FOURFOLD_ONE_LEVEL=${FOURFOLD_ONE_LEVEL}: expected one of ${known_levels}")
  endif()
endif()

# fourfold_add_kernels(source... [OPTIONS option...])
#
# Adds kernel sources to fourfold_core: csrc/nlse/kernels.cpp becomes the object libraries nlse_kernels_baseline,
# nlse_kernels_v3 and nlse_kernels_v4. OPTIONS are compiler options for these sources alone.
function(fourfold_add_kernels)
  cmake_parse_arguments(PARSE_ARGV 0 KERNELS "" "" "OPTIONS")
  foreach(source IN LISTS KERNELS_UNPARSED_ARGUMENTS)
    string(REGEX REPLACE "^csrc/(.*)\\.cpp$" "\\1" name "${source}")
    string(REPLACE "/" "_" name "${name}")
    set(index ${first_level_index})
    foreach(level IN LISTS FOURFOLD_LEVELS)
      add_library(${name}_${level} OBJECT ${source})
      target_link_libraries(${name}_${level} PRIVATE fourfold_flags)
      target_compile_definitions(${name}_${level} PRIVATE FOURFOLD_LEVEL=${level} FOURFOLD_LEVEL_INDEX=${index})
      target_compile_options(${name}_${level} PRIVATE ${FOURFOLD_FLAGS_${level}} ${KERNELS_OPTIONS})
      target_sources(fourfold_core PRIVATE $<TARGET_OBJECTS:${name}_${level}>)
      math(EXPR index "${index} + 1")
    endforeach()
  endforeach()
endfunction()
