target_sources(fourfold_core PRIVATE csrc/pc/codec.cpp csrc/pc/codec_plan.cpp csrc/pc/missing.cpp)
# A contracted a * b + c is rounded once instead of twice, and the stream of one ISA level unreadable on another.
# Nothing here throws; tables for it would have a weak symbol.
fourfold_add_kernels(csrc/pc/codec_kernels.cpp OPTIONS -ffp-contract=off -fno-exceptions)
