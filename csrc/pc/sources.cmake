target_sources(
  fourfold_core
  PRIVATE csrc/pc/batch.cpp
          csrc/pc/model.cpp
          csrc/pc/most_probable.cpp
          csrc/pc/mutual_information.cpp
          csrc/pc/passes.cpp
          csrc/pc/tables.cpp
          csrc/pc/trainer.cpp
          csrc/pc/tree.cpp)
fourfold_add_kernels(csrc/pc/pass_kernels.cpp)
