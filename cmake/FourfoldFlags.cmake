# How every source of ours is compiled: the target fourfold_flags, and the options that change it.
option(FOURFOLD_WERROR "Compiler warnings are errors" OFF)
set(FOURFOLD_SANITIZE "" CACHE STRING "Argument of -fsanitize=, for instance address,undefined or thread")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release or Debug" FORCE)
endif()
if(NOT CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
  message(FATAL_ERROR "fourfold is built with GCC or Clang; this is ${CMAKE_CXX_COMPILER_ID}")
endif()
# A library that is linked with one of these flushes denormals in the whole process that loads it.
foreach(flags IN ITEMS "${CMAKE_CXX_FLAGS}" "${CMAKE_CXX_FLAGS_RELEASE}" "${CMAKE_MODULE_LINKER_FLAGS}")
  if(flags MATCHES "-ffast-math|-Ofast|-funsafe-math-optimizations")
    message(FATAL_ERROR "fourfold must not be built with -ffast-math, -Ofast or -funsafe-math-optimizations: ${flags}")
  endif()
endforeach()

get_filename_component(fourfold_csrc "${CMAKE_CURRENT_LIST_DIR}/../csrc" ABSOLUTE)
add_library(fourfold_flags INTERFACE)
target_compile_features(fourfold_flags INTERFACE cxx_std_20)
target_include_directories(fourfold_flags INTERFACE "${fourfold_csrc}")
# -fopenmp-simd gives `#pragma omp simd` without an OpenMP runtime.
target_compile_options(
  fourfold_flags
  INTERFACE -fopenmp-simd -fno-math-errno -fno-trapping-math -Wall -Wextra $<$<BOOL:${FOURFOLD_WERROR}>:-Werror>)
if(FOURFOLD_SANITIZE)
  set(sanitize "-fsanitize=${FOURFOLD_SANITIZE}")
  target_compile_options(
    fourfold_flags INTERFACE ${sanitize} -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g)
  target_link_options(fourfold_flags INTERFACE ${sanitize})
endif()

set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
