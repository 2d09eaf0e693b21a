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

# Sets FOURFOLD_CUDA_WORKS and a sentence in FOURFOLD_CUDA_FOUND. A compiler on the PATH may be too old for an
# architecture or refuse the host compiler, so it has to compile and link a kernel.
function(fourfold_look_for_cuda)
  include(CheckLanguage)
  check_language(CUDA)
  set(works FALSE)
  if(NOT CMAKE_CUDA_COMPILER)
    set(found "no CUDA compiler found")
  else()
    enable_language(CUDA)
    set(source "${CMAKE_CURRENT_BINARY_DIR}/cuda_probe.cu")
    file(WRITE "${source}" "__global__ void twice(double* x) { x[threadIdx.x] *= 2.0; }\n"
                           "int main() { twice<<<1, 1>>>(nullptr); return 0; }\n")
    set(found "CUDA compiler ${CMAKE_CUDA_COMPILER_VERSION} (${CMAKE_CUDA_COMPILER})")
    try_compile(FOURFOLD_CUDA_PROBE "${CMAKE_CURRENT_BINARY_DIR}/cuda_probe" "${source}" OUTPUT_VARIABLE output)
    if(FOURFOLD_CUDA_PROBE)
      set(works TRUE)
    else()
      string(APPEND found " does not compile a kernel for ${CMAKE_CUDA_ARCHITECTURES}")
      message(VERBOSE "${output}")
    endif()
  endif()
  set(FOURFOLD_CUDA_WORKS ${works} PARENT_SCOPE)
  set(FOURFOLD_CUDA_FOUND "${found}" PARENT_SCOPE)
endfunction()

if(FOURFOLD_CUDA STREQUAL "OFF")
  set(FOURFOLD_CUDA_REPORT "not built: FOURFOLD_CUDA=OFF")
else()
  fourfold_look_for_cuda()
  if(FOURFOLD_CUDA STREQUAL "ON" AND NOT FOURFOLD_CUDA_WORKS)
    message(FATAL_ERROR "FOURFOLD_CUDA=ON: ${FOURFOLD_CUDA_FOUND}; install the CUDA toolkit, or set "
                        "CMAKE_CUDA_COMPILER, or FOURFOLD_CUDA=AUTO to build without CUDA")
  endif()
  set(FOURFOLD_CUDA_REPORT "not built: no kernel has a CUDA twin yet, ${FOURFOLD_CUDA_FOUND}")
endif()
message(STATUS "fourfold CUDA: ${FOURFOLD_CUDA_REPORT}")
