# FOURFOLD_CUDA=AUTO|ON|OFF. CUDA twins of the kernels live beside them as csrc/<family>/*.cu and make the extension
# module _cuda. None exists yet, so _cuda is not a target; this finds out whether they could be built here and says so.
# FOURFOLD_CUDA_REPORT goes into fourfold.show_config().
set(FOURFOLD_CUDA "AUTO" CACHE STRING "CUDA kernels: AUTO (if a compiler works), ON (required), OFF")
set_property(CACHE FOURFOLD_CUDA PROPERTY STRINGS AUTO ON OFF)
if(NOT FOURFOLD_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "FOURFOLD_CUDA=${FOURFOLD_CUDA}: expected AUTO, ON or OFF")
endif()

# Turing, Ampere, Hopper, Blackwell, and PTX of the last for what comes later.
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 90-real 100)
endif()
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)

# Sets FOURFOLD_CUDA_WORKS, and FOURFOLD_CUDA_FOUND in words, once per compiler and list of architectures. A compiler
# may be too old for one of them or refuse the host compiler, and enable_language() would end the configuration then:
# so a project of its own has to compile and link a kernel.
function(fourfold_look_for_cuda)
  include(CheckLanguage)
  check_language(CUDA)
  set(key "${CMAKE_CUDA_COMPILER} for ${CMAKE_CUDA_ARCHITECTURES}")
  if(FOURFOLD_CUDA_PROBED STREQUAL key)
    return()
  endif()
  set(works FALSE)
  set(found "no CUDA compiler found")
  if(CMAKE_CUDA_COMPILER)
    set(probe "${CMAKE_CURRENT_BINARY_DIR}/cuda_probe")
    file(WRITE "${probe}/CMakeLists.txt"
         "cmake_minimum_required(VERSION 3.20...4.0)\n"
         "set(CMAKE_CUDA_ARCHITECTURES ${CMAKE_CUDA_ARCHITECTURES})\n"
         "project(probe LANGUAGES CUDA)\n"
         "message(STATUS \"version=\${CMAKE_CUDA_COMPILER_VERSION};\")\n"
         "add_executable(probe probe.cu)\n")
    file(WRITE "${probe}/probe.cu"
         "__global__ void twice(double* x) { x[threadIdx.x] *= 2.0; }\n"
         "int main() { twice<<<1, 1>>>(nullptr); return 0; }\n")
    execute_process(
      COMMAND "${CMAKE_COMMAND}" -G "${CMAKE_GENERATOR}" "-DCMAKE_MAKE_PROGRAM=${CMAKE_MAKE_PROGRAM}"
              "-DCMAKE_CUDA_COMPILER=${CMAKE_CUDA_COMPILER}" -S "${probe}" -B "${probe}/build"
      COMMAND_ECHO NONE RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
    if(status EQUAL 0)
      execute_process(COMMAND "${CMAKE_COMMAND}" --build "${probe}/build" RESULT_VARIABLE status OUTPUT_VARIABLE build
                      ERROR_VARIABLE build)
      string(APPEND output "${build}")
    endif()
    if(status EQUAL 0)
      set(works TRUE)
      string(REGEX MATCH "version=([0-9.]+)" _ "${output}")
      set(found "CUDA compiler ${CMAKE_MATCH_1} found (${CMAKE_CUDA_COMPILER})")
    else()
      list(JOIN CMAKE_CUDA_ARCHITECTURES ", " architectures)
      set(found "${CMAKE_CUDA_COMPILER} does not compile a kernel for ${architectures}")
      file(WRITE "${probe}/output.txt" "${output}")
    endif()
  endif()
  set(FOURFOLD_CUDA_WORKS "${works}" CACHE INTERNAL "")
  set(FOURFOLD_CUDA_FOUND "${found}" CACHE INTERNAL "")
  set(FOURFOLD_CUDA_PROBED "${key}" CACHE INTERNAL "")
endfunction()

if(FOURFOLD_CUDA STREQUAL "OFF")
  set(FOURFOLD_CUDA_REPORT "not built: FOURFOLD_CUDA=OFF")
else()
  fourfold_look_for_cuda()
  if(FOURFOLD_CUDA STREQUAL "ON" AND NOT FOURFOLD_CUDA_WORKS)
    message(FATAL_ERROR "FOURFOLD_CUDA=ON: ${FOURFOLD_CUDA_FOUND}; install a CUDA toolkit that does, or set "
                        "CMAKE_CUDA_COMPILER, or FOURFOLD_CUDA=AUTO to build without CUDA")
  endif()
  set(FOURFOLD_CUDA_REPORT "not built: no kernel has a CUDA twin yet; ${FOURFOLD_CUDA_FOUND}")
endif()
message(STATUS "fourfold CUDA: ${FOURFOLD_CUDA_REPORT}")
