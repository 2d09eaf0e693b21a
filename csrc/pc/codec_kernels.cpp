// Compiled once per ISA level, without contraction of a * b + c. Only the function table at the end is visible outside.
#include "pc/codec_walk.hpp"
#include "pc/float_environment.hpp"
#include "pc/rans.hpp"

namespace fourfold::pc::FOURFOLD_LEVEL {
namespace {

struct EncodeCoder {
    Interval* intervals;

    FOURFOLD_INLINE static void announce(const float* table, std::size_t stride, int /*cardinality*/,
                                         const std::int32_t* symbols) {
        for (int l = 0; l < kLanes; ++l) {
            prefetch(table + static_cast<std::size_t>(symbols[l] < 0 ? 0 : symbols[l]) * stride, 2 * stride);
        }
    }
    FOURFOLD_INLINE void operator()(const Mixture& mixture, int position, const std::int32_t* symbols) const {
        alignas(64) std::int32_t x[kLanes], next[kLanes], left[kLanes], right[kLanes];
        for (int l = 0; l < kLanes; ++l) {
            x[l] = symbols[l] < 0 ? 0 : symbols[l];
            next[l] = x[l] + 1;
        }
        mixture.left_ends(x, left);
        mixture.left_ends(next, right);
        Interval* out = intervals + static_cast<std::size_t>(position) * kLanes;
        for (int l = 0; l < kLanes; ++l) {
            const std::int32_t end = next[l] == mixture.cardinality ? 1 << kPrecision : right[l];
            out[l].start = static_cast<std::uint32_t>(left[l]);
            out[l].size = symbols[l] < 0 ? 0 : static_cast<std::uint32_t>(end - left[l]);
        }
    }
};

struct DecodeCoder {
    LaneReader& reader;

    // The columns of the first probes of the bisection, and of its last if the value is 0.
    FOURFOLD_INLINE static void announce(const float* table, std::size_t stride, int cardinality,
                                         const std::int32_t* /*symbols*/) {
        prefetch(table, 2 * stride);
        for (int part = 1; part < 8; ++part) {
            prefetch(table + static_cast<std::size_t>(cardinality) * part / 8 * stride, stride);
        }
        for (std::size_t column = cardinality / 16; column > 1; column /= 2) prefetch(table + column * stride, stride);
    }
    FOURFOLD_INLINE void operator()(const Mixture& mixture, int /*position*/, std::int32_t* symbols) const {
        alignas(64) std::int32_t slot[kLanes], low[kLanes], middle[kLanes], q[kLanes], left[kLanes], right[kLanes];
        for (int l = 0; l < kLanes; ++l) slot[l] = slot_of(reader.state[l]);
        find(mixture, slot, low, middle, q, left, right);
        for (int l = 0; l < kLanes; ++l) {
            if (reader.active[l] == 0) {
                symbols[l] = -1;
                continue;
            }
            if (symbols[l] < 0) continue;  // missing
            symbols[l] = low[l];
            std::uint64_t state = popped(reader.state[l], left[l], right[l]);
            if (state < kLowestState) {
                WordSource& source = reader.sources[reader.source[l]];
                std::uint32_t word = 0;
                if (source.end - source.next >= 4) {
                    for (int b = 0; b < 4; ++b) word |= static_cast<std::uint32_t>(source.next[b]) << (8 * b);
                    source.next += 4;
                } else {
                    source.exhausted = true;
                }
                state = state << 32 | word;
            }
            reader.state[l] = state;
        }
    }

    // The value whose interval [left, right) holds the slot: bisection, all lanes in step.
    FOURFOLD_INLINE static void find(const Mixture& mixture, const std::int32_t* slot, std::int32_t* low,
                                     std::int32_t* middle, std::int32_t* q, std::int32_t* left, std::int32_t* right) {
        Int lo[W] = {}, hi[W], from[W] = {}, to[W];
        for (int w = 0; w < W; ++w) {
            hi[w] = broadcast_int(mixture.cardinality);
            to[w] = broadcast_int(1 << kPrecision);
        }
        for (int width = mixture.cardinality; width > 1; width -= width / 2) {
            for (int w = 0; w < W; ++w) store(middle + w * V, (lo[w] + hi[w]) >> 1);
            mixture.left_ends(middle, q);
            for (int w = 0; w < W; ++w) {
                const Int probe = load<Int>(q + w * V), at = load<Int>(middle + w * V);
                const Int above = load<Int>(slot + w * V) >= probe;
                lo[w] = above ? at : lo[w];
                from[w] = above ? probe : from[w];
                hi[w] = above ? hi[w] : at;
                to[w] = above ? to[w] : probe;
            }
        }
        for (int w = 0; w < W; ++w) {
            store(low + w * V, lo[w]);
            store(left + w * V, from[w]);
            store(right + w * V, to[w]);
        }
    }
};

// Not inlined into the functions below: arithmetic must not move across the change of the environment.
__attribute__((noinline)) void encode_lanes(const Plan& plan, float* scratch, std::int32_t* symbols,
                                            Interval* intervals) {
    EncodeCoder coder{intervals};
    walk(plan, scratch, symbols, coder);
}
__attribute__((noinline)) void decode_lanes(const Plan& plan, float* scratch, std::int32_t* symbols,
                                            LaneReader& reader) {
    DecodeCoder coder{reader};
    walk(plan, scratch, symbols, coder);
}

void encode(const Plan& plan, float* scratch, const std::int32_t* symbols, Interval* intervals) {
    const StandardFloats pinned;
    encode_lanes(plan, scratch, const_cast<std::int32_t*>(symbols), intervals);
}
void decode(const Plan& plan, float* scratch, std::int32_t* symbols, LaneReader& reader) {
    const StandardFloats pinned;
    decode_lanes(plan, scratch, symbols, reader);
}

std::size_t scratch_floats(const Plan& plan) {
    return plan.state_floats + 3 * static_cast<std::size_t>(plan.most_states) * kLanes;
}

}  // namespace

extern const CodecKernels codec_kernels;
const CodecKernels codec_kernels = {encode, decode, scratch_floats};

}  // namespace fourfold::pc::FOURFOLD_LEVEL
