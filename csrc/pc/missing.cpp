#include "pc/missing.hpp"

#include <algorithm>

namespace fourfold::pc {
namespace {

// How often each bit came in one column; the older, the less it counts.
struct Context {
    std::uint32_t zeros = 0, ones = 0;

    // The share of ones that is expected (Krichevsky and Trofimov), of 2^16, neither none nor all.
    std::uint32_t share() const {
        const std::uint32_t share = ((2 * ones + 1) << 16) / (2 * (zeros + ones + 1));
        return std::clamp<std::uint32_t>(share, 1, 65535);
    }
    void add(bool one) {
        (one ? ones : zeros) += 1;
        if (zeros + ones == 1 << 14) {
            zeros = (zeros + 1) / 2;
            ones = (ones + 1) / 2;
        }
    }
};

// The interval [low, high] of 32 bits that is left; leading bytes on which both ends agree are decided.
struct Range {
    std::uint32_t low = 0, high = ~0u;

    // The last number that stands for a one.
    std::uint32_t split(std::uint32_t share) const {
        return low + static_cast<std::uint32_t>((std::uint64_t{high - low} * share) >> 16);
    }
    void take(bool one, std::uint32_t split) { one ? high = split : low = split + 1; }
    bool decided() const { return ((low ^ high) >> 24) == 0; }
    void shift() {
        low <<= 8;
        high = high << 8 | 255;
    }
};

}  // namespace

std::vector<std::uint8_t> encode_missing(const std::uint8_t* missing, std::int64_t rows, std::int64_t columns) {
    std::vector<Context> contexts(static_cast<std::size_t>(columns));
    std::vector<std::uint8_t> out;
    Range range;
    for (std::int64_t at = 0; at < rows * columns; ++at) {
        Context& context = contexts[static_cast<std::size_t>(at % columns)];
        const bool one = missing[at] != 0;
        range.take(one, range.split(context.share()));
        context.add(one);
        for (; range.decided(); range.shift()) out.push_back(static_cast<std::uint8_t>(range.high >> 24));
    }
    // The shortest number in the interval; zeros behind it need not be written. low and high differ in the first byte.
    if (range.low > 0) out.push_back(static_cast<std::uint8_t>((range.low >> 24) + 1));
    while (!out.empty() && out.back() == 0) out.pop_back();
    return out;
}

void decode_missing(const std::uint8_t* in, std::int64_t length, std::uint8_t* missing, std::int64_t rows,
                    std::int64_t columns) {
    std::vector<Context> contexts(static_cast<std::size_t>(columns));
    const std::uint8_t* const end = in + length;
    const auto next = [&]() -> std::uint32_t { return in < end ? *in++ : 0u; };
    std::uint32_t code = 0;
    for (int b = 0; b < 4; ++b) code = code << 8 | next();
    Range range;
    for (std::int64_t at = 0; at < rows * columns; ++at) {
        Context& context = contexts[static_cast<std::size_t>(at % columns)];
        const std::uint32_t split = range.split(context.share());
        const bool one = code <= split;
        range.take(one, split);
        context.add(one);
        for (; range.decided(); range.shift()) code = code << 8 | next();
        missing[at] = one ? 1 : 0;
    }
}

}  // namespace fourfold::pc
