// The checksum of zlib, PNG and Ethernet (polynomial 0xedb88320), eight bytes at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "support/host_device.hpp"

namespace fourfold::pc {

// What a byte contributes: the table of one byte at a time.
FOURFOLD_INLINE std::uint32_t crc32_of_byte(std::uint32_t byte) {
    std::uint32_t c = byte;
    for (int bit = 0; bit < 8; ++bit) c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
    return c;
}

class Crc32 {
public:
    void add(const std::uint8_t* data, std::size_t size) {
        const auto& t = tables();
        std::uint32_t c = value_;
        for (; size >= 8; size -= 8, data += 8) {
            c ^= word(data);
            const std::uint32_t d = word(data + 4);
            c = t[7][c & 255] ^ t[6][c >> 8 & 255] ^ t[5][c >> 16 & 255] ^ t[4][c >> 24] ^ t[3][d & 255] ^
                t[2][d >> 8 & 255] ^ t[1][d >> 16 & 255] ^ t[0][d >> 24];
        }
        for (; size > 0; --size) c = t[0][(c ^ *data++) & 255] ^ c >> 8;
        value_ = c;
    }
    std::uint32_t value() const { return ~value_; }

private:
    using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

    static std::uint32_t word(const std::uint8_t* p) {
        return p[0] | std::uint32_t{p[1]} << 8 | std::uint32_t{p[2]} << 16 | std::uint32_t{p[3]} << 24;
    }
    static const Tables& tables() {
        static const Tables made = [] {
            Tables t{};
            for (std::uint32_t i = 0; i < 256; ++i) t[0][i] = crc32_of_byte(i);
            for (std::size_t k = 1; k < 8; ++k) {
                for (std::size_t i = 0; i < 256; ++i) t[k][i] = t[k - 1][i] >> 8 ^ t[0][t[k - 1][i] & 255];
            }
            return t;
        }();
        return made;
    }

    std::uint32_t value_ = ~0u;
};

}  // namespace fourfold::pc
