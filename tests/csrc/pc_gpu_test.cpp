// The GPU's circuits on the host: every thread of every block, phase by phase, forwards and backwards. The codec's
// streams are those of the CPU's kernels byte by byte, and it says of damaged ones what they say; probabilities are
// held against the definition in long double. What this does not show is what only a GPU has: its instructions, and
// threads that run at the same time.
#define FOURFOLD_LEVEL gpu
#include "pc/codec_gpu.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "check.hpp"
#include "pc/codec.hpp"
#include "pc/codec_gpu_program.hpp"
#include "pc/likelihood_gpu.hpp"
#include "pc/likelihood_gpu_program.hpp"
#include "pc_circuits.hpp"
#include "support/aligned.hpp"

using namespace fourfold;
using namespace fourfold::pc;
using namespace fourfold::pc::gpu;
using fourfold::gpu::HostBlock;

namespace {

// The tables and operations that a GPU would have, and its kernels, block by block.
class OnGpu {
public:
    explicit OnGpu(const Codec& codec) : codec_(codec) {
        const CodecProgramBuilder builder(codec.plan);
        operations_.resize(builder.operation_count());
        tables_ = AlignedBuffer<float>(builder.table_floats());
        builder.write(operations_.data(), tables_.data());
        program_ = builder.view();
        program_.operations = operations_.data();
        program_.tables = tables_.data();
    }

    // As Codec::encode, except that payloads are at the end of their room.
    void encode(const Cells& cells, const std::vector<std::int64_t>& rows, const std::int64_t* start, std::uint8_t* out,
                std::int64_t* length, BlockStatus* status, bool backwards) const {
        constexpr unsigned kWarps = 3, kBlocks = 2;
        const std::int64_t all = std::accumulate(rows.begin(), rows.end(), std::int64_t{0});
        std::vector<Interval> intervals(static_cast<std::size_t>(all * program_.variables), Interval{~0u, ~0u});
        std::vector<std::int32_t> bad(static_cast<std::size_t>(all), 77);
        for (unsigned b = 0; b < kBlocks; ++b) {
            HostBlock block(b, kWarps * kThreadsOfWarp, backwards);
            AlignedBuffer<float> memory = poisoned(kWarps);
            std::vector<Lane> lanes(kWarps, poisoned_lane());
            const IntervalsCall call{program_, cells, all, kWarps * kBlocks, intervals.data(), bad.data()};
            intervals_of_block(block, call, lanes.data(), memory.data());
        }
        const std::vector<CodedBlock> blocks = places(rows, start);
        for (unsigned b = 0; b < rows.size(); ++b) {
            HostBlock block(b, kThreadsOfWarp, backwards);
            std::uint32_t crc[kBytes];
            PutLane lanes[kLanes] = {};
            const PutCall call{program_, cells, blocks.data(), intervals.data(), bad.data(), out, length, status};
            put_block(block, call, crc, lanes);
        }
    }

    void decode(const std::uint8_t* in, const std::int64_t* start, const std::vector<std::int64_t>& rows,
                const Cells& cells, BlockStatus* status, bool backwards) const {
        const std::vector<CodedBlock> blocks = places(rows, start);
        std::int64_t most = 0;
        for (const CodedBlock& block : blocks) most = std::max(most, block.streams);
        for (unsigned b = 0; b < rows.size(); ++b) {
            HostBlock block(b, static_cast<unsigned>(most) * kThreadsOfWarp, backwards);
            AlignedBuffer<float> memory = poisoned(static_cast<std::size_t>(most));
            std::vector<Lane> lanes(static_cast<std::size_t>(most), poisoned_lane());
            std::uint32_t crc[kBytes];
            const DecodeCall call{program_, cells, blocks.data(), in, status};
            decode_block(block, call, crc, lanes.data(), memory.data());
        }
    }

private:
    AlignedBuffer<float> poisoned(std::size_t lanes) const {
        AlignedBuffer<float> memory(lanes * static_cast<std::size_t>(program_.lane_floats));
        std::fill_n(memory.data(), memory.size(), std::nanf(""));
        return memory;
    }
    static Lane poisoned_lane() {
        Lane lane;
        std::fill_n(reinterpret_cast<unsigned char*>(&lane), sizeof lane, static_cast<unsigned char>(0x5a));
        return lane;
    }
    std::vector<CodedBlock> places(const std::vector<std::int64_t>& rows, const std::int64_t* start) const {
        std::vector<CodedBlock> blocks;
        std::int64_t first = 0;
        for (std::size_t b = 0; b < rows.size(); ++b) {
            blocks.push_back({first, rows[b], codec_.streams(rows[b]), start[b], start[b + 1]});
            first += rows[b];
        }
        return blocks;
    }

    const Codec& codec_;
    std::vector<LaneOperation> operations_;
    AlignedBuffer<float> tables_;
    CodecProgram program_;
};

std::vector<std::int64_t> starts_of(const std::vector<std::int64_t>& sizes) {
    std::vector<std::int64_t> start(sizes.size() + 1, 0);
    std::partial_sum(sizes.begin(), sizes.end(), start.begin() + 1);
    return start;
}

template <class T>
void check_streams(const RandomCircuit& circuit, std::vector<std::int64_t> rows, bool hostile,
                   std::mt19937_64& random) {
    const Codec codec(circuit.view(), 1);
    const OnGpu gpu(codec);
    const bool may_miss = sizeof(T) == 4;
    const std::vector<std::int64_t> first = starts_of(rows);
    std::vector<T> cells = draw_cells<T>(circuit, first.back(), may_miss, random);
    if (hostile) cells[random() % cells.size()] = static_cast<T>(may_miss && random() % 2 == 0 ? -2 : 255);
    const Cells given{cells.data(), sizeof(T)};
    std::vector<std::int64_t> rooms;
    for (const std::int64_t n : rows) {
        const std::int64_t raw = n * codec.plan.variables * 4 + 200;
        rooms.push_back(hostile && random() % 2 == 0 ? static_cast<std::int64_t>(random() % 40) : raw);
    }
    const std::vector<std::int64_t> start = starts_of(rooms);
    const std::size_t count = rows.size();
    std::vector<std::uint8_t> out(static_cast<std::size_t>(start.back()) + 1), on_gpu(out.size());
    std::vector<std::int64_t> length(count), length_on_gpu(count, -1);
    std::vector<BlockStatus> status(count), status_on_gpu(count);
    codec.encode(given, rows, start.data(), out.data(), length.data(), status.data(), 1);
    const bool backwards = random() % 2 == 0;
    gpu.encode(given, rows, start.data(), on_gpu.data(), length_on_gpu.data(), status_on_gpu.data(), backwards);
    // The payloads one after the other, as a decoder gets them.
    std::vector<std::uint8_t> payloads;
    std::vector<std::int64_t> sizes, kept_rows;
    std::vector<T> kept;
    for (std::size_t b = 0; b < count; ++b) {
        CHECK(status_on_gpu[b] == status[b]);
        CHECK(length_on_gpu[b] == length[b]);
        if (status[b] != BlockStatus::ok) continue;
        const std::uint8_t* payload = out.data() + start[b];
        CHECK(std::equal(payload, payload + length[b], on_gpu.data() + start[b + 1] - length[b]));
        payloads.insert(payloads.end(), payload, payload + length[b]);
        sizes.push_back(length[b]);
        kept_rows.push_back(rows[b]);
        kept.insert(kept.end(), cells.begin() + first[b] * codec.plan.variables,
                    cells.begin() + first[b + 1] * codec.plan.variables);
    }
    CHECK(hostile || sizes.size() == count);
    if (sizes.empty()) return;
    // Decoded as they are, and damaged.
    for (const bool damaged : {false, true}) {
        if (damaged) {
            const std::size_t which = random() % sizes.size();
            const std::int64_t at = starts_of(sizes)[which];
            const auto end = payloads.begin() + at + sizes[which];
            if (random() % 3 == 0) {
                const auto cut = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(sizes[which] + 1));
                payloads.erase(end - cut, end);
                sizes[which] -= cut;
            } else if (random() % 2 == 0) {
                payloads.insert(end, 4, static_cast<std::uint8_t>(random()));
                sizes[which] += 4;
            } else {
                payloads[static_cast<std::size_t>(at) + random() % static_cast<std::uint64_t>(sizes[which])] ^=
                    static_cast<std::uint8_t>(1 + random() % 255);
            }
        }
        const std::vector<std::int64_t> from = starts_of(sizes);
        std::vector<T> blank(kept.size(), T{});
        for (std::size_t k = 0; k < kept.size(); ++k) {
            if (may_miss && static_cast<std::int32_t>(kept[k]) == -1) blank[k] = kept[k];
        }
        std::vector<T> here = blank, there = blank;
        std::vector<BlockStatus> told(sizes.size()), told_by_gpu(sizes.size(), BlockStatus::no_gain);
        payloads.push_back(0);  // so that data() is an address
        codec.decode(payloads.data(), from.data(), sizes.data(), kept_rows, {here.data(), sizeof(T)}, told.data(), 1);
        gpu.decode(payloads.data(), from.data(), kept_rows, {there.data(), sizeof(T)}, told_by_gpu.data(), !backwards);
        payloads.pop_back();
        CHECK(told == told_by_gpu);
        if (damaged) continue;
        CHECK(std::all_of(told.begin(), told.end(), [](BlockStatus s) { return s == BlockStatus::ok; }));
        CHECK(there == kept);
        CHECK(here == kept);
    }
}

// log p of a row by the definition, in logarithms.
long double log_prob(const RandomCircuit& circuit, const std::int32_t* row) {
    const int nodes = circuit.nodes();
    std::vector<std::vector<long double>> logs;
    for (int v = 0; v < nodes; ++v) logs.emplace_back(circuit.states(v), 0.0L);
    for (int i = 0; i < circuit.variables(); ++i) {
        if (row[i] == circuit.cardinality(i)) continue;
        std::vector<long double>& of = logs[static_cast<std::size_t>(circuit.leaf_node(i))];
        for (int z = 0; z < static_cast<int>(of.size()); ++z) {
            of[static_cast<std::size_t>(z)] +=
                std::log(static_cast<long double>(circuit.probability(nodes + i, z, row[i])));
        }
    }
    const auto sum = [&](int v, int above) {
        const std::vector<long double>& of = logs[static_cast<std::size_t>(v)];
        const long double most = *std::max_element(of.begin(), of.end());
        if (std::isinf(most)) return most;
        long double total = 0;
        for (int z = 0; z < circuit.states(v); ++z) {
            total += static_cast<long double>(circuit.probability(v, above, z)) *
                     std::exp(of[static_cast<std::size_t>(z)] - most);
        }
        return std::log(total) + most;
    };
    for (int v = nodes - 1; v > 0; --v) {
        std::vector<long double>& of = logs[static_cast<std::size_t>(circuit.parent(v))];
        for (int z = 0; z < static_cast<int>(of.size()); ++z) of[static_cast<std::size_t>(z)] += sum(v, z);
    }
    return sum(0, 0);
}

template <class T>
void check_likelihood(const RandomCircuit& circuit, std::int64_t images, std::mt19937_64& random) {
    const CircuitView view = circuit.view();
    const UpProgramBuilder builder(view);
    std::vector<UpOperation> operations(builder.operation_count());
    AlignedBuffer<float> tables(builder.table_floats());
    std::fill_n(tables.data(), tables.size(), std::nanf(""));
    builder.write(operations.data(), tables.data());
    UpProgram program = builder.view();
    program.operations = operations.data();
    program.tables = tables.data();
    std::vector<T> cells = draw_cells<T>(circuit, images, false, random);
    for (std::size_t k = 0; k < cells.size(); ++k) {
        const std::int32_t values =
            circuit.cardinality(static_cast<int>(k % static_cast<std::size_t>(circuit.variables())));
        if (random() % 4 == 0 && values < (1 << (8 * std::min<std::size_t>(sizeof(T), 2))))
            cells[k] = static_cast<T>(values);
    }
    std::vector<double> out(static_cast<std::size_t>(images) + 1, -77.0);
    const bool backwards = random() % 2 == 0;
    const unsigned warps = 1 + static_cast<unsigned>(random() % 3);
    for (unsigned b = 0; b * warps * kImages < images; ++b) {
        HostBlock block(b, warps * kThreadsOfWarp, backwards);
        AlignedBuffer<float> memory(warps * static_cast<std::size_t>(program.warp_floats));
        std::fill_n(memory.data(), memory.size(), std::nanf(""));
        likelihood_of_block(block, {program, {cells.data(), sizeof(T)}, images, out.data()}, memory.data());
    }
    CHECK(out.back() == -77.0);
    double roundings = 2.0 * circuit.variables();
    for (int v = 0; v < circuit.nodes(); ++v) roundings += circuit.states(v) + 4;
    for (std::int64_t r = 0; r < images; ++r) {
        std::vector<std::int32_t> row;
        for (int i = 0; i < circuit.variables(); ++i)
            row.push_back(cells[static_cast<std::size_t>(r * circuit.variables() + i)]);
        const long double exact = log_prob(circuit, row.data());
        const double got = out[static_cast<std::size_t>(r)];
        CHECK(std::isinf(exact) ? got == static_cast<double>(exact) : std::fabs(got - exact) < 6e-8 * roundings);
    }
}

}  // namespace

int main() {
    const std::uint64_t seed = std::random_device{}();
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    std::mt19937_64 random(seed);
    for (int turn = 0; turn < 30; ++turn) {
        const RandomCircuit circuit(random, turn);
        std::printf("circuit %d: %s\n", turn, circuit.description().c_str());
        for (const bool hostile : {false, true}) {
            const std::vector<std::int64_t> rows{1, static_cast<std::int64_t>(1 + random() % 9), 2};
            if (circuit.most_values() <= 256) check_streams<std::uint8_t>(circuit, rows, hostile, random);
            check_streams<std::uint16_t>(circuit, rows, hostile, random);
            check_streams<std::int32_t>(circuit, rows, hostile, random);
        }
    }
    for (int turn = 0; turn < 40; ++turn) {
        const RandomCircuit circuit(random, turn, 4);
        const auto images = static_cast<std::int64_t>(1 + random() % 40);
        std::printf("log p of %d images, circuit %d: %s\n", static_cast<int>(images), turn,
                    circuit.description().c_str());
        if (circuit.most_values() <= 256) check_likelihood<std::uint8_t>(circuit, images, random);
        check_likelihood<std::int32_t>(circuit, images, random);
        check_likelihood<std::int32_t>(RandomCircuit(random, RandomCircuit::kMixture, 8), 3, random);
    }
    // So many raw bits that a block has four streams, and the last round not a row of each.
    const RandomCircuit wide(random, RandomCircuit::kWide);
    std::printf("several streams: %s\n", wide.description().c_str());
    check_streams<std::uint16_t>(wide, {wide.rows_of_streams(4), 3}, false, random);
    check_streams<std::int32_t>(wide, {wide.rows_of_streams(2), 5}, true, random);
    return 0;
}
