target_sources(
  fourfold_core
  PRIVATE csrc/pc/batch.cpp
          csrc/pc/codec.cpp
          csrc/pc/codec_gpu_program.cpp
          csrc/pc/codec_plan.cpp
          csrc/pc/em_gpu_plan.cpp
          csrc/pc/likelihood_gpu_program.cpp
          csrc/pc/missing.cpp
          csrc/pc/model.cpp
          csrc/pc/most_probable.cpp
          csrc/pc/mutual_information.cpp
          csrc/pc/passes.cpp
          csrc/pc/tables.cpp
          csrc/pc/trainer.cpp
          csrc/pc/tree.cpp)
fourfold_add_kernels(csrc/pc/pass_kernels.cpp)
# A contracted a * b + c is rounded once instead of twice, and the stream of one ISA level unreadable on another.
# Nothing here throws; tables for it would have a weak symbol.
fourfold_add_kernels(csrc/pc/codec_kernels.cpp OPTIONS -ffp-contract=off -fno-exceptions)
