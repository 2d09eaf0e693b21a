// libFuzzer's target for the codec: no input makes the decoder read or write outside its memory, run on without end, or
// give a value that its variable cannot have; and what is encoded comes back.
//   first byte   0: the rest is a payload; 1: rows to encode, decode, then decode again damaged; 2: a mask
//   second byte  which of the circuits
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "check.hpp"
#include "pc/codec.hpp"
#include "pc/missing.hpp"

using namespace fourfold::pc;

namespace {

// Takes numbers off the front of the input; zeros once it is used up.
class Input {
public:
    Input(const std::uint8_t* data, std::size_t size) : at_(data), left_(size) {}
    std::uint32_t number(int bytes) {
        std::uint32_t value = 0;
        for (int b = 0; b < bytes && left_ > 0; ++b, ++at_, --left_) value |= std::uint32_t{*at_} << (8 * b);
        return value;
    }
    const std::uint8_t* rest() const { return at_; }
    std::size_t left() const { return left_; }

private:
    const std::uint8_t* at_;
    std::size_t left_;
};

// A circuit of given shape whose tables are the numbers of a linear congruential generator.
struct Circuit {
    std::vector<std::int32_t> parent, states, leaf_node, cardinality;
    std::vector<float> packed;
    std::vector<std::int64_t> offsets;

    Circuit(std::vector<std::int32_t> tree, std::vector<std::int32_t> sizes, std::vector<std::int32_t> leaves,
            std::vector<std::int32_t> values)
        : parent(std::move(tree)),
          states(std::move(sizes)),
          leaf_node(std::move(leaves)),
          cardinality(std::move(values)) {
        add(1, states[0]);
        for (std::size_t v = 1; v < parent.size(); ++v) add(states[parent[v]], states[v]);
        for (std::size_t i = 0; i < leaf_node.size(); ++i) add(states[leaf_node[i]], cardinality[i]);
    }
    CircuitView view() const {
        return {static_cast<int>(parent.size()),
                static_cast<int>(leaf_node.size()),
                parent.data(),
                states.data(),
                leaf_node.data(),
                cardinality.data(),
                packed.data(),
                offsets.data()};
    }

private:
    void add(std::int32_t rows, std::int32_t columns) {
        offsets.push_back(static_cast<std::int64_t>(packed.size()));
        for (std::int32_t r = 0; r < rows; ++r) {
            const std::size_t begin = packed.size();
            double total = 0;
            for (std::int32_t k = 0; k < columns; ++k) {
                seed_ = 1664525 * seed_ + 1013904223;
                // One entry in eight is impossible.
                packed.push_back(seed_ >> 29 == 0 && k > 0 ? 0.0f : static_cast<float>(seed_ >> 8) + 1.0f);
                total += packed.back();
            }
            for (std::size_t k = begin; k < packed.size(); ++k) packed[k] = static_cast<float>(packed[k] / total);
        }
        packed.resize((packed.size() + 15) / 16 * 16);
    }
    std::uint32_t seed_ = 1;
};

const Codec& codec_of(std::uint32_t which) {
    static const Codec all[] = {
        // Several children, nodes without a variable, 1 to 33 states.
        Codec(Circuit({-1, 0, 0, 1, 1, 3}, {7, 17, 3, 33, 1, 5}, {3, 4, 2, 0, 5, 5, 1}, {256, 3, 254, 2, 9, 65, 4})
                  .view(),
              1),
        // A chain whose values need two bytes: a payload that claims 65536 rows has eight streams.
        Codec(Circuit({-1, 0, 1, 2}, {2, 3, 4, 2}, {0, 1, 2, 3}, {65536, 300, 65536, 40000}).view(), 1),
        // One state, one variable.
        Codec(Circuit({-1}, {1}, {0}, {2}).view(), 1),
    };
    return all[which % 3];
}

constexpr std::uint32_t kMostRowsBack = 100;  // what can be encoded and decoded in a moment

// Decodes blocks of 4-byte cells; those that are missing are -1 already.
std::vector<BlockStatus> decode(const Codec& codec, const std::vector<std::uint8_t>& in,
                                const std::vector<std::int64_t>& start, const std::vector<std::int64_t>& length,
                                const std::vector<std::int64_t>& rows, std::vector<std::int32_t>& cells) {
    std::vector<BlockStatus> status(rows.size());
    codec.decode(in.data(), start.data(), length.data(), rows, {cells.data(), 4}, status.data(), 1);
    std::size_t begin = 0;
    for (std::size_t b = 0; b < rows.size(); ++b) {
        const std::size_t count = static_cast<std::size_t>(rows[b]) * codec.plan.cardinality.size();
        for (std::size_t c = begin; status[b] == BlockStatus::ok && c < begin + count; ++c) {
            CHECK(cells[c] >= -1 && cells[c] < codec.plan.cardinality[c % codec.plan.cardinality.size()]);
        }
        begin += count;
    }
    return status;
}

void any_payload(const Codec& codec, Input input) {
    const std::int64_t rows = 1 + input.number(2);
    // In memory of its own, so that a byte read too many is seen.
    const std::vector<std::uint8_t> in(input.rest(), input.rest() + input.left());
    std::vector<std::int32_t> cells(static_cast<std::size_t>(rows) * codec.plan.cardinality.size(), 0);
    decode(codec, in, {0}, {static_cast<std::int64_t>(in.size())}, {rows}, cells);
}

void there_and_back(const Codec& codec, Input input) {
    const std::uint32_t where = input.number(2), how = input.number(1), cut = input.number(2);
    const std::uint32_t repeats = 1 + input.number(1);
    const std::vector<std::int32_t>& cardinality = codec.plan.cardinality;
    std::vector<std::int32_t> once;
    while (input.left() > 0) {
        const std::int32_t value = static_cast<std::int32_t>(input.number(2));
        // Now and then a value that is missing.
        once.push_back(value % 11 == 10 ? -1 : value % cardinality[once.size() % cardinality.size()]);
    }
    once.resize((once.size() / cardinality.size() + 1) * cardinality.size(), 0);
    std::vector<std::int32_t> cells;
    const std::size_t most = kMostRowsBack * cardinality.size();
    for (std::uint32_t r = 0; r < repeats && cells.size() < most; ++r) {
        cells.insert(cells.end(), once.begin(), once.end());
    }
    const std::int64_t all = static_cast<std::int64_t>(cells.size() / cardinality.size());
    const std::vector<std::int64_t> rows{all - all / 3, all / 3};
    std::vector<std::int64_t> start{0}, length(2);
    for (const std::int64_t n : rows) {
        start.push_back(start.back() + n * static_cast<std::int64_t>(cardinality.size()) * 4 + 128);
    }
    std::vector<std::uint8_t> out(static_cast<std::size_t>(start.back()));
    std::vector<BlockStatus> status(2);
    codec.encode({cells.data(), 4}, rows, start.data(), out.data(), length.data(), status.data(), 1);
    for (const BlockStatus one : status) CHECK(one == BlockStatus::ok);

    std::vector<std::int32_t> back(cells.size());
    std::transform(cells.begin(), cells.end(), back.begin(), [](std::int32_t x) { return x < 0 ? -1 : 0; });
    const std::vector<std::int32_t> blank = back;
    for (const BlockStatus one : decode(codec, out, start, length, rows, back)) CHECK(one == BlockStatus::ok);
    CHECK(back == cells);

    // Damage the first block; in memory that ends with it.
    const std::int64_t kept = length[0] - cut % (length[0] + 1);
    std::vector<std::uint8_t> damaged(out.begin(), out.begin() + kept);
    if (kept > 0) damaged[where % damaged.size()] ^= static_cast<std::uint8_t>(how);
    std::vector<std::int32_t> wrong(blank.begin(),
                                    blank.begin() + rows[0] * static_cast<std::int64_t>(cardinality.size()));
    decode(codec, damaged, {0}, {kept}, {rows[0]}, wrong);
}

void a_mask(Input input) {
    const std::int64_t columns = 1 + input.number(1) % 9, rows = input.number(1);
    const std::vector<std::uint8_t> in(input.rest(), input.rest() + input.left());
    std::vector<std::uint8_t> mask(static_cast<std::size_t>(rows * columns));
    decode_missing(in.data(), static_cast<std::int64_t>(in.size()), mask.data(), rows, columns);
    for (const std::uint8_t bit : mask) CHECK(bit <= 1);
    const std::vector<std::uint8_t> again = encode_missing(mask.data(), rows, columns);
    std::vector<std::uint8_t> back(mask.size());
    decode_missing(again.data(), static_cast<std::int64_t>(again.size()), back.data(), rows, columns);
    CHECK(back == mask);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input input(data, size);
    const std::uint32_t what = input.number(1) % 3;
    const Codec& codec = codec_of(input.number(1));
    if (what == 0) any_payload(codec, input);
    if (what == 1) there_and_back(codec, input);
    if (what == 2) a_mask(input);
    return 0;
}
