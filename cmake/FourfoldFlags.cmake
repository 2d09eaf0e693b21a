# The flags of every source of ours. Never -ffast-math, -Ofast or -funsafe-math-optimizations: a library linked so
# flushes denormals in the whole process that loads it.
add_library(fourfold_flags INTERFACE)
target_compile_features(fourfold_flags INTERFACE cxx_std_20)
target_include_directories(fourfold_flags INTERFACE "${CMAKE_CURRENT_SOURCE_DIR}/csrc")

if(NOT CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
  message(FATAL_ERROR "fourfold is built with GCC or Clang; this is ${CMAKE_CXX_COMPILER_ID}")
endif()
foreach(flags IN ITEMS "${CMAKE_CXX_FLAGS}" "${CMAKE_CXX_FLAGS_RELEASE}" "$ENV{LDFLAGS}")
  if(flags MATCHES "-ffast-math|-Ofast|-funsafe-math-optimizations")
    message(FATAL_ERROR "fourfold must not be built with -ffast-math, -Ofast or -funsafe-math-optimizations: ${flags}")
  endif()
endforeach()

# -fopenmp-simd gives `#pragma omp simd` without an OpenMP runtime.
target_compile_options(
  fourfold_flags
  INTERFACE -fopenmp-simd
            -fno-math-errno
            -fno-trapping-math
            -Wall
            -Wextra
            $<$<BOOL:${FOURFOLD_WERROR}>:-Werror>)

if(FOURFOLD_SANITIZE)
  target_compile_options(
    fourfold_flags INTERFACE -fsanitize=${FOURFOLD_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g -O1)
  target_link_options(fourfold_flags INTERFACE -fsanitize=${FOURFOLD_SANITIZE})
endif()

set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
