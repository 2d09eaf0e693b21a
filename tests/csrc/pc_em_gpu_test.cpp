// Learning and sampling on the GPU, on the host: every thread of every block, phase by phase, forwards and backwards,
// blocks in either order. Log probabilities, expected counts and tables are held against the CPU's trainer, draws
// against the definition in long double and the CPU's draws from the same uniform numbers.
#define FOURFOLD_LEVEL gpu
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "check.hpp"
#include "gpu_memory.hpp"
#include "pc/em_gpu_counts.hpp"
#include "pc/em_gpu_passes.hpp"
#include "pc/em_gpu_plan.hpp"
#include "pc/em_gpu_schedule.hpp"
#include "pc/model.hpp"
#include "pc/sampling_gpu.hpp"
#include "pc/trainer.hpp"
#include "pc_circuits.hpp"
#include "support/aligned.hpp"

using namespace fourfold;
using namespace fourfold::pc;
using namespace fourfold::pc::gpu;
using fourfold::gpu::HostBlock;

namespace {

std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }

AlignedBuffer<float> full_of_nan(std::int64_t count) {
    AlignedBuffer<float> buffer(size(count));
    std::fill_n(buffer.data(), buffer.size(), std::nanf(""));
    return buffer;
}

Tree tree_of(const CircuitView& view) {
    return {size(view.nodes), size(view.variables), view.parent, view.states, view.leaf_node, view.cardinality};
}

// Images [variables][images], and each row sorted by value, as torch does it.
template <class T>
struct Batch {
    std::vector<T> rows, codes, sorted;
    std::vector<std::int64_t> order;
    std::int64_t images;

    Batch(std::vector<T> given, std::int64_t count, int variables) : rows(std::move(given)), images(count) {
        for (int i = 0; i < variables; ++i) {
            std::vector<std::int64_t> of(size(images));
            std::iota(of.begin(), of.end(), 0);
            const auto value = [&](std::int64_t b) { return rows[size(b * variables + i)]; };
            std::stable_sort(of.begin(), of.end(), [&](auto a, auto b) { return value(a) < value(b); });
            for (std::int64_t b = 0; b < images; ++b) codes.push_back(value(b));
            for (const std::int64_t b : of) sorted.push_back(value(b));
            order.insert(order.end(), of.begin(), of.end());
        }
    }
};

// Where em.cu has launches: blocks one after another, with shared memory full of NaN.
struct OnHost {
    std::mt19937_64& random;

    void up(std::int64_t blocks, const LevelCall& call) {
        of_product(blocks, [&](HostBlock& block, ProductMemory& shared) { em_up_block(block, call, shared); });
    }
    void down(std::int64_t blocks, const LevelCall& call) {
        of_product(blocks, [&](HostBlock& block, ProductMemory& shared) { em_down_block(block, call, shared); });
    }
    void edge_counts(std::int64_t blocks, const CountCall& call) {
        of_product(blocks, [&](HostBlock& block, ProductMemory& shared) { em_edge_counts_block(block, call, shared); });
    }
    void leaf_counts(std::int64_t blocks, const CountCall& call) {
        each_block(blocks, kCountThreads, [&](HostBlock& block) { em_leaf_counts_block(block, call); });
    }
    void update(std::int64_t blocks, const UpdateCall& call) {
        each_block(blocks, kCountThreads, [&](HostBlock& block) {
            UpdateMemory shared;
            std::fill_n(&shared.total[0][0], kCountWarps * kSlice, std::nanf(""));
            em_update_block(block, call, shared);
        });
    }
    void draw_states(std::int64_t blocks, const DrawCall& call) {
        each_block(blocks, kDrawThreads, [&](HostBlock& block) { draw_states_block(block, call); });
    }
    void draw_values(std::int64_t blocks, const DrawCall& call) {
        each_block(blocks, kDrawThreads, [&](HostBlock& block) { draw_values_block(block, call); });
    }

private:
    template <class Work>
    void of_product(std::int64_t blocks, const Work& work) {
        each_block(blocks, kProductThreads, [&](HostBlock& block) {
            ProductMemory shared;
            std::fill_n(shared.a, kDepth * kTileStride, std::nanf(""));
            std::fill_n(shared.b, kDepth * kTileStride, std::nanf(""));
            work(block, shared);
        });
    }
    template <class Work>
    void each_block(std::int64_t count, unsigned threads, const Work& work) {
        CHECK(count > 0);  // or CUDA refuses the launch
        const bool backwards = random() % 2 == 0, last_first = random() % 2 == 0;
        for (std::int64_t k = 0; k < count; ++k) {
            HostBlock block(static_cast<unsigned>(last_first ? count - 1 - k : k), threads, backwards);
            work(block);
        }
    }
};

// What Python allocates.
class OnGpu {
public:
    OnGpu(const CircuitView& view, std::int64_t capacity, bool totals, std::mt19937_64& random)
        : tree_(tree_of(view)),
          tables_(tree_, view.offsets),
          builder_(tree_, tables_),
          plan_(builder_.bytes()),
          random_(random) {
        tables_.load(view.packed);
        builder_.write(plan_.data());
        const std::int64_t floats = static_cast<std::int64_t>(tables_.size());
        const std::int64_t stride = (capacity + kTile - 1) / kTile * kTile;
        own_tables_ = full_of_nan(floats);
        std::copy_n(tables_.table(0), floats, own_tables_.data());
        flow_ = full_of_nan(floats);
        average_ = AlignedBuffer<float>(size(floats));
        totals_ = std::vector<double>(totals ? size(floats) : 0, 0.0);
        likelihood_ = full_of_nan(builder_.row() * stride);
        message_ = full_of_nan(std::max<std::int64_t>(builder_.message_row() * stride, 1));
        posterior_ = full_of_nan(builder_.row() * stride);
        expected_ = full_of_nan(builder_.row());
        exponent_ = std::vector<std::int32_t>(size(view.nodes * stride), 1 << 29);
        log_prob_ = std::vector<double>(size(stride), -77.0);
        buffers_ = {own_tables_.data(),
                    flow_.data(),
                    average_.data(),
                    totals ? totals_.data() : nullptr,
                    likelihood_.data(),
                    message_.data(),
                    posterior_.data(),
                    expected_.data(),
                    exponent_.data(),
                    log_prob_.data(),
                    stride};
    }

    template <class T>
    EmCall call_of(Batch<T>& batch) {
        return {em_plan_at(builder_.shape(), plan_.data()), buffers_,           {batch.codes.data(), sizeof(T)},
                {batch.sorted.data(), sizeof(T)},           batch.order.data(), batch.images};
    }
    EmCall no_images() {
        return {em_plan_at(builder_.shape(), plan_.data()), buffers_, {nullptr, 4}, {nullptr, 4}, nullptr, 0};
    }

    // What em.cu launches, and when.
    EmSchedule<OnHost> schedule(const EmCall& call) { return {call, builder_.levels(), OnHost{random_}}; }

    // Laid out like the model's.
    std::vector<float> packed(const float* from, std::size_t floats) const {
        std::vector<float> out(floats, 0.0f);
        for (std::size_t t = 0; t < tables_.shapes().size(); ++t) {
            tables_.store_table(t, from + tables_.shapes()[t].start, out.data());
        }
        return out;
    }
    std::vector<float> tables(std::size_t floats) const { return packed(own_tables_.data(), floats); }
    std::vector<float> average(std::size_t floats) const { return packed(average_.data(), floats); }
    std::vector<float> totals(std::size_t floats) const {
        const std::vector<float> single(totals_.begin(), totals_.end());
        return packed(single.data(), floats);
    }
    const std::vector<double>& log_prob() const { return log_prob_; }
    // Padding that a pass may read is 0, and rows for missing values are 1, before and after.
    void check_padding() const {
        for (std::size_t t = 0; t < tables_.shapes().size(); ++t) {
            const Tables::Shape& shape = tables_.shapes()[t];
            const float* table = own_tables_.data() + shape.start;
            for (std::size_t k = 0; k < shape.values; ++k) {
                for (std::size_t m = shape.states; m < shape.width; ++m) CHECK(table[k * shape.width + m] == 0.0f);
            }
            if (t < tree_.nodes()) continue;
            for (std::size_t m = 0; m < shape.width; ++m) {
                CHECK(table[shape.values * shape.width + m] == (m < shape.states ? 1.0f : 0.0f));
            }
        }
    }

private:
    Tree tree_;
    Tables tables_;
    EmPlanBuilder builder_;
    AlignedBuffer<unsigned char> plan_;
    AlignedBuffer<float> own_tables_, flow_, average_, likelihood_, message_, posterior_, expected_;
    std::vector<double> totals_, log_prob_;
    std::vector<std::int32_t> exponent_;
    EmBuffers buffers_;
    std::mt19937_64& random_;
};

template <class T>
Batch<T> draw_batch(const RandomCircuit& circuit, std::int64_t images, double missing, std::mt19937_64& random) {
    std::vector<T> cells = draw_cells<T>(circuit, images, false, random);
    for (std::size_t k = 0; k < cells.size(); ++k) {
        const std::int32_t values = circuit.cardinality(static_cast<int>(k % size(circuit.variables())));
        const bool fits = sizeof(T) > 1 || values < 256;
        // Many of one value, as pixels of a margin are.
        if (random() % 3 == 0) cells[k] = 0;
        if (fits && static_cast<double>(random() % 1000) < 1000 * missing) cells[k] = static_cast<T>(values);
    }
    return {std::move(cells), images, circuit.variables()};
}

std::size_t packed_size(const CircuitView& view) {
    const int last = view.nodes + view.variables - 1;
    const std::int32_t states = view.states[view.leaf_node[view.variables - 1]];
    return size(view.offsets[last]) + size(states) * size(view.cardinality[view.variables - 1]);
}

// How far sums of roundings may be apart, relatively.
double slack_of(const RandomCircuit& circuit, std::int64_t images) {
    // The CPU adds up a distribution's values one after another.
    double roundings = static_cast<double>(images) + 4.0 * circuit.variables() + circuit.most_values();
    for (int v = 0; v < circuit.nodes(); ++v) roundings += 3.0 * (circuit.states(v) + 4);
    return 1.2e-7 * roundings;
}

void check_close(const std::vector<float>& got, const std::vector<float>& expected, double slack, double floor) {
    CHECK(got.size() == expected.size());
    for (std::size_t k = 0; k < got.size(); ++k) {
        const double a = static_cast<double>(got[k]), b = static_cast<double>(expected[k]);
        if (!(std::fabs(a - b) <= slack * std::fabs(b) + floor)) {
            std::fprintf(stderr, "entry %zu: %.9g, the CPU has %.9g\n", k, a, b);
            CHECK(false);
        }
    }
}

void check_log_prob(const std::vector<double>& got, const std::vector<double>& expected, double slack) {
    for (std::size_t b = 0; b < expected.size(); ++b) {
        CHECK(std::isinf(expected[b]) ? got[b] == expected[b] : std::fabs(got[b] - expected[b]) < slack);
    }
}

UpdateRule draw_rule(bool momentum, std::mt19937_64& random) {
    std::uniform_real_distribution<float> uniform(0.05f, 0.95f);
    const float kept = momentum ? uniform(random) : 0.0f;
    return {random() % 2 == 0, uniform(random), uniform(random), kept, momentum ? 1.0f - kept : 1.0f};
}

template <class T>
void check_learning(const RandomCircuit& circuit, std::int64_t images, bool full, std::mt19937_64& random) {
    const CircuitView view = circuit.view();
    const bool momentum = random() % 2 == 0;
    const double slack = slack_of(circuit, images);
    const std::size_t floats = packed_size(view);
    Trainer trainer(tree_of(view), view.offsets, size(images), momentum, full, 1);
    trainer.load(view.packed);
    OnGpu gpu(view, images, full, random);
    for (int turn = 0; turn < 2; ++turn) {
        const auto count = static_cast<std::int64_t>(1 + random() % size(images));
        Batch<T> batch = draw_batch<T>(circuit, count, random() % 2 == 0 ? 0.25 : 0.0, random);
        const Codes codes{batch.rows.data(), sizeof(T), nullptr};
        const UpdateRule rule = draw_rule(momentum, random);
        std::vector<double> log_prob(size(count));
        const EmCall call = gpu.call_of(batch);
        // The second step begins with tables that differ by roundings already.
        const double more = turn == 0 ? 1.0 : 40.0;
        if (full) {
            trainer.accumulate(codes, size(count), log_prob.data());
            gpu.schedule(call).accumulate();
            std::vector<float> totals(floats);
            trainer.store_totals(totals.data());
            check_close(gpu.totals(floats), totals, slack, 1e-7);
        } else {
            trainer.step(codes, size(count), rule, log_prob.data());
            gpu.schedule(call).step(rule);
        }
        check_log_prob(gpu.log_prob(), log_prob, more * slack * (1 + circuit.nodes()));
        if (full && turn == 1) {
            const auto all = static_cast<double>(count + 3);
            trainer.finish(rule, all);
            gpu.schedule(gpu.no_images()).finish(rule, all);
            const std::vector<float> totals = gpu.totals(floats);
            CHECK(std::all_of(totals.begin(), totals.end(), [](float total) { return total == 0.0f; }));
        }
        std::vector<float> tables(floats);
        trainer.store(tables.data());
        check_close(gpu.tables(floats), tables, more * slack, 1e-7);
        gpu.check_padding();
        if (momentum) {
            std::vector<float> average(floats);
            trainer.store_average(average.data());
            check_close(gpu.average(floats), average, more * slack, 1e-6);
        }
    }
}

// For each node the logarithm of p(what is seen below | z_v), by the definition.
std::vector<std::vector<long double>> likelihoods(const RandomCircuit& circuit, const std::int32_t* row) {
    const int nodes = circuit.nodes();
    std::vector<std::vector<long double>> logs;
    for (int v = 0; v < nodes; ++v) logs.emplace_back(circuit.states(v), 0.0L);
    for (int i = 0; i < circuit.variables(); ++i) {
        if (row[i] == circuit.cardinality(i)) continue;
        std::vector<long double>& of = logs[size(circuit.leaf_node(i))];
        for (int z = 0; z < static_cast<int>(of.size()); ++z) {
            of[size(z)] += std::log(static_cast<long double>(circuit.probability(nodes + i, z, row[i])));
        }
    }
    for (int v = nodes - 1; v > 0; --v) {
        const std::vector<long double>& of = logs[size(v)];
        const long double most = *std::max_element(of.begin(), of.end());
        std::vector<long double>& above = logs[size(circuit.parent(v))];
        for (int p = 0; p < static_cast<int>(above.size()); ++p) {
            long double total = 0;
            for (int z = 0; z < circuit.states(v); ++z) {
                if (std::isinf(of[size(z)])) continue;
                total += static_cast<long double>(circuit.probability(v, p, z)) * std::exp(of[size(z)] - most);
            }
            above[size(p)] += std::isinf(most) ? most : std::log(total) + most;
        }
    }
    return logs;
}

// Whether a uniform number leads to `chosen`, but for roundings.
void check_choice(const std::vector<long double>& weights, double u, std::int32_t chosen) {
    CHECK(chosen >= 0 && size(chosen) < weights.size());
    const long double total = std::accumulate(weights.begin(), weights.end(), 0.0L);
    const long double before = std::accumulate(weights.begin(), weights.begin() + chosen, 0.0L) / total;
    const long double behind = before + weights[size(chosen)] / total;
    const auto target = static_cast<long double>(u);
    CHECK(before - 1e-4L <= target && target <= behind + 1e-4L);
    CHECK(weights[size(chosen)] > 0);
}

template <class T>
void check_draws(const RandomCircuit& circuit, std::int64_t images, std::int64_t repeats, std::mt19937_64& random) {
    const CircuitView view = circuit.view();
    const int nodes = view.nodes, variables = view.variables;
    Batch<T> batch = draw_batch<T>(circuit, images, 0.6, random);
    const std::int64_t draws = images * repeats, columns = nodes + variables;
    std::uniform_real_distribution<double> uniform;
    // As the CPU's, [draw][node, then variable], and transposed.
    std::vector<double> uniforms(size(draws * columns)), turned(uniforms.size());
    for (double& u : uniforms) u = random() % 50 == 0 ? 0.0 : uniform(random);
    for (std::int64_t d = 0; d < draws; ++d) {
        for (std::int64_t c = 0; c < columns; ++c) turned[size(c * draws + d)] = uniforms[size(d * columns + c)];
    }
    std::vector<std::int32_t> states(size(nodes * draws), -5), values(size(variables * draws), -5);
    OnGpu gpu(view, images, false, random);
    const EmCall call = gpu.call_of(batch);
    gpu.schedule(call).log_prob();
    gpu.schedule(call).draw(repeats, turned.data(), states.data(), values.data());
    const Model model(tree_of(view), view.offsets, view.packed);
    std::vector<std::int32_t> expected(size(draws * variables), -5);
    std::vector<double> log_prob(size(images));
    model.sample({batch.rows.data(), sizeof(T), nullptr}, size(images), size(repeats), uniforms.data(), expected.data(),
                 log_prob.data(), 1);
    check_log_prob(gpu.log_prob(), log_prob, slack_of(circuit, images) * (1 + nodes));
    std::int64_t others = 0;
    for (std::int64_t d = 0; d < draws; ++d) {
        const std::int64_t image = d / repeats;
        bool same = true;
        for (int i = 0; i < variables; ++i) same &= values[size(i * draws + d)] == expected[size(d * variables + i)];
        others += !same;
        if (std::isinf(log_prob[size(image)])) {
            CHECK(same);
            continue;
        }
        std::vector<std::int32_t> row;
        for (int i = 0; i < variables; ++i) row.push_back(batch.rows[size(image * variables + i)]);
        const auto logs = likelihoods(circuit, row.data());
        for (int v = 0; v < nodes; ++v) {
            const std::int32_t above = v == 0 ? 0 : states[size(circuit.parent(v) * draws + d)];
            const long double most = *std::max_element(logs[size(v)].begin(), logs[size(v)].end());
            std::vector<long double> weights;
            for (int z = 0; z < circuit.states(v); ++z) {
                weights.push_back(static_cast<long double>(circuit.probability(v, above, z)) *
                                  std::exp(logs[size(v)][size(z)] - most));
            }
            check_choice(weights, turned[size(v * draws + d)], states[size(v * draws + d)]);
        }
        for (int i = 0; i < variables; ++i) {
            const std::int32_t value = values[size(i * draws + d)];
            if (row[size(i)] < circuit.cardinality(i)) {
                CHECK(value == row[size(i)]);
                continue;
            }
            std::vector<long double> weights;
            for (std::int32_t k = 0; k < circuit.cardinality(i); ++k) {
                weights.push_back(static_cast<long double>(
                    circuit.probability(nodes + i, states[size(circuit.leaf_node(i) * draws + d)], k)));
            }
            check_choice(weights, turned[size((nodes + i) * draws + d)], value);
        }
    }
    CHECK(others <= 2 + draws / 50);
}

}  // namespace

int main() {
    const std::uint64_t seed = std::random_device{}();
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    std::mt19937_64 random(seed);
    for (int turn = 0; turn < 24; ++turn) {
        const RandomCircuit circuit(random, turn, 4);
        const auto images = static_cast<std::int64_t>(1 + random() % (turn % 3 == 0 ? 150 : 70));
        std::printf("circuit %d, up to %d images: %s\n", turn, static_cast<int>(images), circuit.description().c_str());
        const bool full = turn % 4 == 3;
        if (circuit.most_values() <= 256) check_learning<std::uint8_t>(circuit, images, full, random);
        check_learning<std::int32_t>(circuit, images, full, random);
        const auto repeats = static_cast<std::int64_t>(1 + random() % 4);
        if (circuit.most_values() <= 256) check_draws<std::uint8_t>(circuit, 1 + images % 9, repeats, random);
        check_draws<std::int32_t>(circuit, 1 + images % 70, repeats, random);
    }
    const RandomCircuit mixture(random, RandomCircuit::kMixture, 8);
    std::printf("mixture: %s\n", mixture.description().c_str());
    check_learning<std::int32_t>(mixture, 3, false, random);
    check_draws<std::int32_t>(mixture, 3, 2, random);
    return 0;
}
