// Coding blocks of rows with a circuit. Payload of a block of n rows in S streams (docs/format.md):
//   stream s codes the rows [s n / S, (s + 1) n / S) one after the other with a 64-bit rANS state; all streams take
//   their 32-bit words from one sequence, in the order in which a decoder that runs them in step needs them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "pc/cells.hpp"
#include "pc/codec_plan.hpp"

namespace fourfold::pc {

enum class BlockStatus : std::int32_t {
    ok = 0,
    no_gain = 1,       // encoding: larger than its capacity
    out_of_range = 2,  // encoding: a value is not below its variable's cardinality
    truncated = 3,     // decoding: words are missing
    bad_state = 4,     // decoding: a state that no encoder leaves
    trailing = 5,      // decoding: words are left over
    bad_checksum = 6,  // decoding: the values are not those that were encoded
};

class Codec {
public:
    Codec(const CircuitView& circuit, int threads) : plan(circuit, threads) {}

    const Plan plan;

    // How many streams a block of that many rows has.
    int streams(std::int64_t rows) const;

    // Block b holds rows[b] rows; the rows of all blocks follow one another in `cells`. Its payload goes to the front
    // of out + start[b], of capacity start[b + 1] - start[b]; length[b] is its size.
    void encode(const Cells& cells, const std::vector<std::int64_t>& rows, const std::int64_t* start, std::uint8_t* out,
                std::int64_t* length, BlockStatus* status, int threads) const;

    // Payload b is in + start[b], length[b] bytes long. With cells of 4 bytes those that are missing must hold -1
    // beforehand and all others something else.
    void decode(const std::uint8_t* in, const std::int64_t* start, const std::int64_t* length,
                const std::vector<std::int64_t>& rows, const Cells& cells, BlockStatus* status, int threads) const;
};

// The kernels: one row in each lane. symbols[variables][kLanes], -1 where nothing is to be coded.
struct Interval {
    std::uint32_t start = 0, size = 0;  // size 0: nothing is coded
};

// What a decoder reads: the states of the lanes, and the words of the blocks that they belong to.
struct WordSource {
    const std::uint8_t* next;
    const std::uint8_t* end;
    bool exhausted;  // a word was needed that is not there
};
struct LaneReader {
    std::uint64_t state[kLanes];
    std::int32_t active[kLanes];  // -1 or 0
    int source[kLanes];           // of lanes in use, ascending
    WordSource sources[kLanes];
};

struct CodecKernels {
    // intervals[order of coding][kLanes]
    void (*encode)(const Plan& plan, float* scratch, const std::int32_t* symbols, Interval* intervals);
    // symbols: -1 where a value is missing, overwritten elsewhere
    void (*decode)(const Plan& plan, float* scratch, std::int32_t* symbols, LaneReader& reader);
    std::size_t (*scratch_floats)(const Plan& plan);
};
const CodecKernels& codec_kernels();

}  // namespace fourfold::pc
