#include "support/isa.hpp"

#include <cstdlib>
#include <stdexcept>
#include <string>

#if FOURFOLD_X86_LEVELS
#include <cpuid.h>
#endif

namespace fourfold::isa {
namespace {

#if FOURFOLD_X86_LEVELS

struct Registers {
    unsigned a = 0, b = 0, c = 0, d = 0;
};

Registers cpuid(unsigned leaf) {
    Registers r;
    if (__get_cpuid_count(leaf, 0, &r.a, &r.b, &r.c, &r.d) == 0) return {};
    return r;
}

// XCR0: which register files the operating system saves at a context switch.
unsigned saved_state() {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

bool has(unsigned word, unsigned bits) { return (word & bits) == bits; }

// The features of the x86-64 psABI's levels. Asked of the CPU itself: __builtin_cpu_supports knows different names in
// every compiler version.
Level detect() {
    const Registers one = cpuid(1), seven = cpuid(7), extended = cpuid(0x80000001u);
    constexpr unsigned osxsave = 1u << 27, avx = 1u << 28, fma = 1u << 12, movbe = 1u << 22, f16c = 1u << 29;
    constexpr unsigned bmi1 = 1u << 3, avx2 = 1u << 5, bmi2 = 1u << 8, lzcnt = 1u << 5;
    constexpr unsigned avx512f = 1u << 16, avx512dq = 1u << 17, avx512cd = 1u << 28, avx512bw = 1u << 30,
                       avx512vl = 1u << 31;
    if (!has(one.c, osxsave | avx | fma | movbe | f16c) || !has(seven.b, bmi1 | avx2 | bmi2) ||
        !has(extended.c, lzcnt) || !has(saved_state(), 0x6)) {
        return Level::baseline;
    }
    const bool v4 = has(seven.b, avx512f | avx512dq | avx512cd | avx512bw | avx512vl) && has(saved_state(), 0xe6);
    return v4 ? Level::v4 : Level::v3;
}

#else

Level detect() { return Level::baseline; }

#endif

Level highest_supported() {
    static const Level level = detect();
    return level;
}

std::string names_that_run() {
    std::string names;
    for (Level level : built_levels()) {
        if (supported(level)) names += (names.empty() ? "" : ", ") + std::string(name(level));
    }
    return names;
}

Level choose() {
    const char* forced = std::getenv("FOURFOLD_ISA");
    if (forced == nullptr || *forced == '\0') {
        Level best = Level::baseline;
        for (Level level : built_levels()) {
            if (supported(level)) best = level;
        }
        return best;
    }
    for (Level level : built_levels()) {
        if (std::string(forced) != name(level)) continue;
        if (supported(level)) return level;
        throw std::invalid_argument("FOURFOLD_ISA=" + std::string(forced) +
                                    ": this CPU cannot run that level; it runs " + names_that_run());
    }
    throw std::invalid_argument("FOURFOLD_ISA=" + std::string(forced) +
                                ": no such level in this build; expected one of " + names_that_run());
}

}  // namespace

const char* name(Level level) {
    switch (level) {
        case Level::v3: return "v3";
        case Level::v4: return "v4";
        default: return "baseline";
    }
}

const std::vector<Level>& built_levels() {
#if FOURFOLD_X86_LEVELS
    static const std::vector<Level> levels{Level::baseline, Level::v3, Level::v4};
#else
    static const std::vector<Level> levels{Level::baseline};
#endif
    return levels;
}

bool supported(Level level) { return level <= highest_supported(); }

Level level() {
    static const Level chosen = choose();
    return chosen;
}

}  // namespace fourfold::isa
