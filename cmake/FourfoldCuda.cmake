# FOURFOLD_CUDA=AUTO|ON|OFF. CUDA twins of the kernels live beside them as csrc/<family>/*.cu and make the extension
# module _cuda, if a compiler works. FOURFOLD_CUDA_BUILD says whether, FOURFOLD_CUDA_REPORT why, for
# fourfold.show_config().
set(FOURFOLD_CUDA "AUTO" CACHE STRING "CUDA kernels: AUTO (if a compiler works), ON (required), OFF")
set_property(CACHE FOURFOLD_CUDA PROPERTY STRINGS AUTO ON OFF)
if(NOT FOURFOLD_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "FOURFOLD_CUDA=${FOURFOLD_CUDA}: expected AUTO, ON or OFF")
endif()

# Turing, Ampere, Hopper, Blackwell. The last three share one intermediate code (PTX), of which a driver also makes code
# for what comes later: half of the time of a compilation goes into that. CMAKE_CUDA_ARCHITECTURES, if given, replaces
# them, for instance by 90 on a machine with Hopper GPUs.
if(DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(fourfold_gencode)
  list(JOIN CMAKE_CUDA_ARCHITECTURES ", " FOURFOLD_CUDA_ARCHITECTURES)
else()
  set(CMAKE_CUDA_ARCHITECTURES OFF)
  set(fourfold_gencode "SHELL:-gencode arch=compute_75,code=sm_75"
                       "SHELL:-gencode arch=compute_80,code=[compute_80,sm_80,sm_90,sm_100]")
  set(FOURFOLD_CUDA_ARCHITECTURES "sm_75, sm_80, sm_90, sm_100 and PTX of compute_80")
endif()
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)

# Sets FOURFOLD_CUDA_WORKS, and FOURFOLD_CUDA_FOUND in words, once per compiler and list of architectures. A compiler
# may be too old for one of them or refuse the host compiler, and enable_language() would end the configuration then:
# so a project of its own has to compile and link a kernel.
function(fourfold_look_for_cuda)
  include(CheckLanguage)
  check_language(CUDA)
  set(key "${CMAKE_CUDA_COMPILER} for ${FOURFOLD_CUDA_ARCHITECTURES}")
  if(FOURFOLD_CUDA_PROBED STREQUAL key)
    return()
  endif()
  set(works FALSE)
  set(found "no CUDA compiler found")
  if(CMAKE_CUDA_COMPILER)
    set(probe "${CMAKE_CURRENT_BINARY_DIR}/cuda_probe")
    list(JOIN fourfold_gencode "\" \"" options)
    file(WRITE "${probe}/CMakeLists.txt"
         "cmake_minimum_required(VERSION 3.20...4.0)\n"
         "set(CMAKE_CUDA_ARCHITECTURES ${CMAKE_CUDA_ARCHITECTURES})\n"
         "project(probe LANGUAGES CUDA)\n"
         "message(STATUS \"version=\${CMAKE_CUDA_COMPILER_VERSION};\")\n"
         "add_executable(probe probe.cu)\n"
         "target_compile_options(probe PRIVATE \"${options}\")\n")
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
      set(found "${CMAKE_CUDA_COMPILER} does not compile a kernel for ${FOURFOLD_CUDA_ARCHITECTURES}")
      file(WRITE "${probe}/output.txt" "${output}")
    endif()
  endif()
  set(FOURFOLD_CUDA_WORKS "${works}" CACHE INTERNAL "")
  set(FOURFOLD_CUDA_FOUND "${found}" CACHE INTERNAL "")
  set(FOURFOLD_CUDA_PROBED "${key}" CACHE INTERNAL "")
endfunction()

set(fourfold_cmake "${CMAKE_CURRENT_LIST_DIR}")
if(NOT FOURFOLD_CUDA STREQUAL "OFF")
  fourfold_look_for_cuda()
  if(FOURFOLD_CUDA STREQUAL "ON" AND NOT FOURFOLD_CUDA_WORKS)
    message(FATAL_ERROR "FOURFOLD_CUDA=ON: ${FOURFOLD_CUDA_FOUND}; install a CUDA toolkit that does, or set "
                        "CMAKE_CUDA_COMPILER, or FOURFOLD_CUDA=AUTO to build without CUDA")
  endif()
endif()

set(FOURFOLD_CUDA_BUILD FALSE)
if(FOURFOLD_CUDA STREQUAL "OFF")
  set(FOURFOLD_CUDA_REPORT "not built: FOURFOLD_CUDA=OFF")
elseif(FOURFOLD_CUDA_WORKS)
  set(FOURFOLD_CUDA_BUILD TRUE)
  set(FOURFOLD_CUDA_REPORT "built for ${FOURFOLD_CUDA_ARCHITECTURES}; ${FOURFOLD_CUDA_FOUND}")
else()
  set(FOURFOLD_CUDA_REPORT "not built: ${FOURFOLD_CUDA_FOUND}")
endif()
message(STATUS "fourfold CUDA: ${FOURFOLD_CUDA_REPORT}")

# fourfold_add_cuda(source...)
#
# Adds CUDA sources to the extension module _cuda. What ptxas says of each kernel's registers, stack and spills is kept
# beside the object files, as <object>.resources, for tools/cuda_resources.py.
function(fourfold_add_cuda)
  if(NOT TARGET fourfold_cuda)
    add_library(fourfold_cuda OBJECT)
    target_include_directories(fourfold_cuda PRIVATE "${fourfold_csrc}")
    target_compile_features(fourfold_cuda PRIVATE cuda_std_20)
    # gpu: the name of these kernels' namespace, where those of the CPU have an ISA level.
    target_compile_definitions(fourfold_cuda PRIVATE FOURFOLD_LEVEL=gpu)
    target_compile_options(
      fourfold_cuda PRIVATE ${fourfold_gencode} -Xptxas=-v -Xcompiler=-Wall,-Wextra
                            $<$<BOOL:${FOURFOLD_WERROR}>:-Xcompiler=-Werror> $<$<BOOL:${FOURFOLD_WERROR}>:-Werror=all-warnings>)
    set_target_properties(
      fourfold_cuda PROPERTIES CUDA_VISIBILITY_PRESET hidden RULE_LAUNCH_COMPILE
                               "\"${CMAKE_COMMAND}\" -P \"${fourfold_cmake}/keep_resources.cmake\" -- <OBJECT>")
  endif()
  target_sources(fourfold_cuda PRIVATE ${ARGN})
endfunction()
