// What a warp does at a variable: an encoder computes the interval of a known value, a decoder finds the value whose
// interval holds its state's slot. Internal linkage.
#pragma once

#include <cstdint>

#include "pc/cells.hpp"
#include "pc/codec.hpp"
#include "pc/codec_gpu_walk.hpp"
#include "pc/rans.hpp"

namespace fourfold::pc::FOURFOLD_LEVEL {
namespace {

struct IntervalCoder {
    const CodecProgram& program;
    Lane* lanes;
    Cells cells;
    Interval* intervals;  // [rows][order of coding]
    std::int32_t* bad;    // [rows] set where a value is none of its variable
    std::int64_t position;

    template <class Block>
    FOURFOLD_INLINE void operator()(Block& block, const LaneOperation& op, const float* table, const float* memory) {
        const std::int64_t stride = padded(op.states);
        // Three threads a dot product each: S, F(x), F(x + 1).
        block.each_by_warps([&](unsigned thread) {
            Lane& lane = lanes[lane_of(thread)];
            const int place = place_of(thread);
            if (place > 2 || lane.row < 0) return;
            const std::int32_t value = cell(cells, lane.row * program.variables + op.variable);
            const bool good = value < op.cardinality && value >= (cells.size == 4 ? -1 : 0);
            const std::int32_t x = good ? value : -1;
            const std::int32_t column = place == 0 ? op.cardinality : (x < 0 ? 0 : x) + place - 1;
            const float* belief = memory + static_cast<std::int64_t>(lane_of(thread)) * program.lane_floats + op.belief;
            lane.mixture[place] = dot(belief, table + column * stride, static_cast<int>(stride));
            if (place > 0) return;
            lane.symbol = x;
            if (!good) bad[lane.row] = 1;
        });
        block.each_by_warps([&](unsigned thread) {
            const Lane& lane = lanes[lane_of(thread)];
            if (place_of(thread) > 0 || lane.row < 0) return;
            Interval& interval = intervals[lane.row * program.variables + position];
            const std::int32_t x = lane.symbol < 0 ? 0 : lane.symbol;
            const std::int32_t left = left_end(lane.mixture[1], lane.mixture[0], op.cardinality, x);
            const std::int32_t right = x + 1 == op.cardinality
                                           ? 1 << kPrecision
                                           : left_end(lane.mixture[2], lane.mixture[0], op.cardinality, x + 1);
            interval.start = static_cast<std::uint32_t>(left);
            interval.size = lane.symbol < 0 ? 0 : static_cast<std::uint32_t>(right - left);
        });
        ++position;
    }
};

// The words of a block, in bytes.
struct Words {
    const std::uint8_t* data;
    std::int64_t bytes;
};

template <class Block>
struct ValueCoder {
    const CodecProgram& program;
    Lane* lanes;
    Cells cells;
    Words words;
    int streams;
    int parity = 0;
    typename Block::template PerThread<float> mixture;
    typename Block::template PerThread<std::int32_t> probed;

    FOURFOLD_INLINE ValueCoder(Block& block, const CodecProgram& of, Lane* all, const Cells& to, const Words& from,
                               int count)
        : program(of), lanes(all), cells(to), words(from), streams(count), mixture(block), probed(block) {}

    FOURFOLD_INLINE void operator()(Block& block, const LaneOperation& op, const float* table, const float* memory) {
        const int now = find(block, op, table, memory);
        // Each lane says whether it needs a word, and then takes the one that is its turn.
        block.each([&](unsigned thread) {
            Lane& lane = lanes[lane_of(thread)];
            if (place_of(thread) > 0) return;
            lane.wants[parity] = 0;
            lane.symbol = -1;
            if (lane.coded == 0) return;
            const Range found = lane.range[now];
            lane.symbol = found.low;
            set_cell(cells, lane.row * program.variables + op.variable, found.low);
            lane.state = popped(lane.state, found.from, found.to);
            lane.wants[parity] = lane.state < kLowestState ? 1 : 0;
        });
        block.each_by_warps([&](unsigned thread) {
            const int self = static_cast<int>(lane_of(thread));
            if (place_of(thread) > 0 || self >= streams) return;
            Lane& lane = lanes[self];
            std::int64_t before = 0, all = 0;
            for (int l = 0; l < streams; ++l) {
                if (l < self) before += lanes[l].wants[parity];
                all += lanes[l].wants[parity];
            }
            if (lane.wants[parity] != 0) {
                const std::int64_t at = 4 * (lane.cursor + before);
                std::uint32_t word = 0;
                if (at + 4 <= words.bytes) {
                    for (int b = 0; b < 4; ++b) word |= static_cast<std::uint32_t>(words.data[at + b]) << (8 * b);
                }
                lane.state = lane.state << 32 | word;
            }
            lane.cursor += all;
            if (4 * lane.cursor > words.bytes) lane.exhausted = 1;
        });
        parity = 1 - parity;
    }

    // The value whose interval holds the slot: kPlaces - 1 probes at a time split [0, K) into as many and one parts.
    // Says which of the two ranges of a lane has it.
    FOURFOLD_INLINE int find(Block& block, const LaneOperation& op, const float* table, const float* memory) {
        const int stride = padded(op.states), values = op.cardinality;
        const Range all{0, values, 0, 1 << kPrecision};
        int now = 0;
        int width = values;
        FOURFOLD_ROLLED
        for (bool first = true; first || width > 1; first = false) {
            const int step = (width + kPlaces - 1) / kPlaces;
            block.each_by_warps([&](unsigned thread) {
                Lane& lane = lanes[lane_of(thread)];
                const int place = place_of(thread);
                const Range range = first ? all : lane.range[now];
                probed[thread] = range.low + place * step;
                const bool whole = first && place == 0;
                if (!whole && (place == 0 || probed[thread] >= range.high)) return;
                const float* belief =
                    memory + static_cast<std::int64_t>(lane_of(thread)) * program.lane_floats + op.belief;
                const std::int64_t column = whole ? values : probed[thread];
                mixture[thread] = dot(belief, table + column * stride, stride);
                if (!whole) return;
                lane.mixture[0] = mixture[thread];
                lane.range[now] = all;
                const bool missing =
                    lane.row >= 0 && cells.size == 4 && cell(cells, lane.row * program.variables + op.variable) < 0;
                lane.coded = lane.row >= 0 && !missing ? 1 : 0;
            });
            if (width == 1) return now;
            block.each_by_warps([&](unsigned thread) {
                Lane& lane = lanes[lane_of(thread)];
                const int place = place_of(thread);
                const Range range = lane.range[now];
                // Behind the last probe stands the end of the range.
                std::int32_t at = range.to;
                if (place == 0) at = range.from;
                if (place > 0 && probed[thread] < range.high) {
                    at = left_end(mixture[thread], lane.mixture[0], values, probed[thread]);
                }
                lane.probe[place] = at;
            });
            block.each_by_warps([&](unsigned thread) {
                Lane& lane = lanes[lane_of(thread)];
                const int place = place_of(thread);
                const Range range = lane.range[now];
                const std::int32_t slot = slot_of(lane.state), from = lane.probe[place];
                const std::int32_t to = place + 1 < kPlaces ? lane.probe[place + 1] : range.to;
                if (probed[thread] >= range.high || slot < from || slot >= to) return;
                const std::int32_t end = probed[thread] + step;
                lane.range[1 - now] = {probed[thread], end < range.high ? end : range.high, from, to};
            });
            now = 1 - now;
            width = step;
        }
        return now;
    }
};

}  // namespace
}  // namespace fourfold::pc::FOURFOLD_LEVEL
