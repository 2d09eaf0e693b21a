// The kernels of the codec, as functions of a block of threads. Encoding is two: every row's intervals, rows apart;
// then the entropy coder, a warp a block of rows, from its last row to its first. Decoding is one: a block of threads
// decodes a block of rows, a warp a stream. Internal linkage.
#pragma once

#include <cstdint>

#include "pc/codec_gpu_coders.hpp"
#include "pc/crc32.hpp"

namespace fourfold::pc::FOURFOLD_LEVEL {
namespace {

// A block of rows, and its room in the buffer of payloads.
struct CodedBlock {
    std::int64_t first, rows, streams;
    std::int64_t begin, end;
};

inline constexpr int kBytes = 256;  // values of a byte

FOURFOLD_INLINE void fill_crc(std::uint32_t* crc, unsigned thread, unsigned threads) {
    for (unsigned byte = thread; byte < kBytes; byte += threads) crc[byte] = crc32_of_byte(byte);
}

// The checksum of a stream's rows, see RowChecksum.
FOURFOLD_INLINE std::uint32_t checksum_of(const std::uint32_t* crc, const CodecProgram& program, const Cells& cells,
                                          const CodedBlock& place, int s) {
    const int streams = static_cast<int>(place.streams);
    const std::int64_t begin = (place.first + first_row(place.rows, streams, s)) * program.variables;
    const std::int64_t end = (place.first + first_row(place.rows, streams, s + 1)) * program.variables;
    std::uint32_t c = ~0u;
    FOURFOLD_ROLLED
    for (std::int64_t at = begin; at < end; ++at) {
        const std::int32_t value = cell(cells, at);
        const std::uint32_t x = value < 0 ? 0 : static_cast<std::uint32_t>(value);
        c = crc[(c ^ x) & 255] ^ c >> 8;
        if (program.wide != 0) c = crc[(c ^ x >> 8) & 255] ^ c >> 8;
    }
    return ~c;
}

// Rows of the longest stream.
FOURFOLD_INLINE std::int64_t rounds_of(const CodedBlock& place) {
    return (place.rows + place.streams - 1) / place.streams;
}
// The row of a stream's round, or -1.
FOURFOLD_INLINE std::int64_t row_of(const CodedBlock& place, int s, std::int64_t round) {
    const int streams = static_cast<int>(place.streams);
    if (s >= streams) return -1;
    const std::int64_t row = first_row(place.rows, streams, s) + round;
    return row < first_row(place.rows, streams, s + 1) ? place.first + row : -1;
}

struct IntervalsCall {
    CodecProgram program;
    Cells cells;
    std::int64_t rows;
    std::int64_t lanes;   // of all blocks together
    Interval* intervals;  // [rows][variables], in the order of coding
    std::int32_t* bad;    // [rows]
};

// Shared: lanes[warps]. memory: that of the block's lanes.
template <class Block>
FOURFOLD_INLINE void intervals_of_block(Block& block, const IntervalsCall& call, Lane* lanes, float* memory) {
    const std::int64_t warps = block.threads() / kThreadsOfWarp;
    FOURFOLD_ROLLED
    for (std::int64_t first = block.index() * warps; first < call.rows; first += call.lanes) {
        block.each_by_warps([&](unsigned thread) {
            if (place_of(thread) > 0) return;
            Lane& lane = lanes[lane_of(thread)];
            const std::int64_t row = first + lane_of(thread);
            lane.row = row < call.rows ? row : -1;
            lane.symbol = -1;
            if (lane.row >= 0) call.bad[lane.row] = 0;
        });
        IntervalCoder coder{call.program, lanes, call.cells, call.intervals, call.bad, 0};
        walk(block, call.program, lanes, memory, coder);
    }
}

struct PutCall {
    CodecProgram program;
    Cells cells;
    const CodedBlock* blocks;
    const Interval* intervals;
    const std::int32_t* bad;
    std::uint8_t* out;
    std::int64_t* length;  // [blocks] of the payload, at the end of its room
    BlockStatus* status;   // [blocks]
};

// What the threads of the entropy coder tell one another.
struct PutLane {
    std::uint64_t state;
    std::int32_t bad;
    std::int32_t wants[2];
};

FOURFOLD_INLINE void put_little_endian(std::uint8_t* to, std::uint64_t value, int bytes) {
    for (int b = 0; b < bytes; ++b) to[b] = static_cast<std::uint8_t>(value >> (8 * b));
}

// One warp; thread s codes stream s. Shared: crc[kBytes], lanes[kLanes].
template <class Block>
FOURFOLD_INLINE void put_block(Block& block, const PutCall& call, std::uint32_t* crc, PutLane* lanes) {
    const CodedBlock place = call.blocks[block.index()];
    const int streams = static_cast<int>(place.streams);
    std::uint8_t* room = call.out + place.begin;
    typename Block::template PerThread<Interval> interval(block);
    block.each([&](unsigned thread) { fill_crc(crc, thread, block.threads()); });
    block.each([&](unsigned thread) {
        const int s = static_cast<int>(thread);
        if (s >= streams) return;
        lanes[s].state = first_state(checksum_of(crc, call.program, call.cells, place, s));
        lanes[s].bad = 0;
        for (std::int64_t r = first_row(place.rows, streams, s); r < first_row(place.rows, streams, s + 1); ++r) {
            lanes[s].bad |= call.bad[place.first + r];
        }
    });
    const auto sum = [&](const auto& of) {
        std::int64_t total = 0;
        for (int s = 0; s < streams; ++s) total += of(lanes[s]);
        return total;
    };
    BlockStatus status =
        sum([](const PutLane& lane) { return lane.bad; }) > 0 ? BlockStatus::out_of_range : BlockStatus::ok;
    std::int64_t at = place.end - place.begin;
    int parity = 0;
    FOURFOLD_ROLLED
    for (std::int64_t round = rounds_of(place) - 1; round >= 0 && status == BlockStatus::ok; --round) {
        FOURFOLD_ROLLED
        for (std::int64_t k = call.program.variables - 1; k >= 0; --k) {
            block.each([&](unsigned thread) {
                const int s = static_cast<int>(thread);
                const std::int64_t row = row_of(place, s, round);
                interval[thread] = row < 0 ? Interval{} : call.intervals[row * call.program.variables + k];
                const std::uint32_t size = interval[thread].size;
                if (s < streams) lanes[s].wants[parity] = size > 0 && gives_word(lanes[s].state, size) ? 1 : 0;
            });
            const std::int64_t words = sum([parity](const PutLane& lane) { return lane.wants[parity]; });
            if (at < 4 * words) {
                status = BlockStatus::no_gain;
                break;
            }
            block.each([&](unsigned thread) {
                const int s = static_cast<int>(thread);
                if (s >= streams || interval[thread].size == 0) return;
                std::uint64_t state = lanes[s].state;
                if (lanes[s].wants[parity] != 0) {
                    std::int64_t before = 1;  // streams above put theirs first, from the back
                    for (int other = s + 1; other < streams; ++other) before += lanes[other].wants[parity];
                    put_little_endian(room + at - 4 * before, state, 4);
                    state >>= 32;
                }
                lanes[s].state = pushed(state, interval[thread].start, interval[thread].size);
            });
            at -= 4 * words;
            parity = 1 - parity;
        }
    }
    int bytes = 8;
    if (streams == 1) {
        for (bytes = 5; bytes < 8 && lanes[0].state >> (8 * bytes) != 0;) ++bytes;
    }
    if (status == BlockStatus::ok && at < bytes * streams) status = BlockStatus::no_gain;
    block.each([&](unsigned thread) {
        const int s = static_cast<int>(thread);
        if (s < streams && status == BlockStatus::ok) {
            put_little_endian(room + at - bytes * (streams - s), lanes[s].state, bytes);
        }
        if (thread > 0) return;
        call.status[block.index()] = status;
        call.length[block.index()] = status == BlockStatus::ok ? place.end - place.begin - at + bytes * streams : 0;
    });
}

struct DecodeCall {
    CodecProgram program;
    Cells cells;
    const CodedBlock* blocks;
    const std::uint8_t* in;
    BlockStatus* status;  // [blocks]
};

// Reads the state of a lane's stream and sets the lane up.
FOURFOLD_INLINE void open_lane(Lane& lane, const CodedBlock& place, const std::uint8_t* in, int s, int bytes) {
    const std::int64_t length = place.end - place.begin;
    lane.cursor = 0;
    lane.exhausted = 0;
    lane.state = kLowestState;
    lane.status = static_cast<std::int32_t>(BlockStatus::ok);
    if (s >= place.streams) return;
    if (length < (place.streams > 1 ? 8 * place.streams : 5)) {
        lane.status = static_cast<std::int32_t>(BlockStatus::truncated);
        return;
    }
    std::uint64_t state = 0;
    for (int b = 0; b < bytes; ++b) state |= std::uint64_t{in[s * bytes + b]} << (8 * b);
    lane.state = state;
    if (!is_state(state)) lane.status = static_cast<std::int32_t>(BlockStatus::bad_state);
}

// Shared: crc[kBytes], lanes[warps]. memory: that of the block's lanes.
template <class Block>
FOURFOLD_INLINE void decode_block(Block& block, const DecodeCall& call, std::uint32_t* crc, Lane* lanes,
                                  float* memory) {
    const CodedBlock place = call.blocks[block.index()];
    const int streams = static_cast<int>(place.streams);
    const std::int64_t length = place.end - place.begin;
    const std::uint8_t* in = call.in + place.begin;
    const int bytes = streams > 1 ? 8 : 5 + static_cast<int>((length - 5) % 4);
    const auto status_of_lanes = [&] {
        std::int32_t status = 0;
        for (int s = 0; s < streams && status == 0; ++s) status = lanes[s].status;
        return status;
    };
    block.each([&](unsigned thread) {
        fill_crc(crc, thread, block.threads());
        if (place_of(thread) == 0) {
            open_lane(lanes[lane_of(thread)], place, in, static_cast<int>(lane_of(thread)), bytes);
        }
    });
    std::int32_t status = status_of_lanes();
    if (status == 0) {
        const Words words{in + bytes * streams, length - bytes * streams};
        ValueCoder<Block> coder(block, call.program, lanes, call.cells, words, streams);
        FOURFOLD_ROLLED
        for (std::int64_t round = 0; round < rounds_of(place); ++round) {
            block.each([&](unsigned thread) {
                if (place_of(thread) > 0) return;
                lanes[lane_of(thread)].row = row_of(place, static_cast<int>(lane_of(thread)), round);
            });
            if (lanes[0].exhausted != 0) break;
            walk(block, call.program, lanes, memory, coder);
        }
        block.each([&](unsigned thread) {
            const int s = static_cast<int>(lane_of(thread));
            if (place_of(thread) > 0 || s >= streams) return;
            Lane& lane = lanes[s];
            BlockStatus mine = BlockStatus::ok;
            if (lane.exhausted != 0) {
                mine = BlockStatus::truncated;
            } else if (4 * lane.cursor != words.bytes) {
                mine = BlockStatus::trailing;
            } else if (lane.state != first_state(checksum_of(crc, call.program, call.cells, place, s))) {
                mine = BlockStatus::bad_checksum;
            }
            lane.status = static_cast<std::int32_t>(mine);
        });
        status = status_of_lanes();
    }
    block.each([&](unsigned thread) {
        if (thread == 0) call.status[block.index()] = static_cast<BlockStatus>(status);
    });
}

}  // namespace
}  // namespace fourfold::pc::FOURFOLD_LEVEL
