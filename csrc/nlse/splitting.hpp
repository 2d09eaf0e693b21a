// Splitting schemes: fixed steps, and adaptive steps controlled by step doubling.
#pragma once

#include <cmath>

#include "nlse/field.hpp"
#include "nlse/medium_in_time.hpp"
#include "nlse/phase_table.hpp"
#include "nlse/setup.hpp"
#include "nlse/step_control.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

// Tables of one step size, in memory that the caller owns:
// kinetic [slot][2][n]: re, im of (filter exp(-i omega a h) - 1)/n; potential [slot][2][n]: amplitude and effective
// time, only with loss that does not change in time.
template <class T>
struct SplittingTables {
    double step;       // 0: not built
    const void* loss;  // whose losses the potential tables hold
    T* kinetic;
    T* potential;
};

// table[2][n]: re, im of (filter exp(-i omega tau) - 1)/n
template <class T>
void build_kinetic_table(const Setup<T>& setup, double tau, const T* filter, T* table) {
    const std::size_t n = setup.plan->n;
    const double high = static_cast<double>(static_cast<T>(1.0 / static_cast<double>(n)));
    const double low = -std::fma(high, static_cast<double>(n), -1.0) / static_cast<double>(n);
    phase_table<T, 1>(setup.omega, tau, filter, high, low, table, table + n, n);
}

template <class T>
void build_kinetic_tables(const Setup<T>& setup, double step, T* tables) {
    for (int slot = 0; slot < setup.program.kinetic_slots; ++slot) {
        build_kinetic_table(setup, setup.program.kinetic[slot] * step, setup.filter, tables + 2 * setup.plan->n * slot);
    }
}

template <class T>
void build_tables(const Setup<T>& setup, const Medium<T>& medium, double step, SplittingTables<T>& tables) {
    const std::size_t n = setup.plan->n;
    const SplittingProgram& program = setup.program;
    if (tables.step != step) build_kinetic_tables(setup, step, tables.kinetic);
    if (medium.loss != nullptr && (tables.step != step || tables.loss != medium.loss)) {
        for (int slot = 0; slot < program.potential_slots; ++slot) {
            T* amplitude = tables.potential + 2 * n * slot;
            const double tau = program.potential[slot] * step;
            for (std::size_t i = 0; i < n; ++i) {
                const Decay here = decay_over(static_cast<double>(medium.loss[i]), tau);
                amplitude[i] = static_cast<T>(here.amplitude);
                amplitude[n + i] = static_cast<T>(here.effective_time);
            }
        }
    }
    tables.step = step;
    tables.loss = medium.loss;
}

template <class T, int V>
class Splitting {
public:
    Splitting(const Setup<T>& setup, MediumInTime<T>& medium, T* re, T* im)
        : setup_(setup), plan_(*setup.plan), program_(setup.program), medium_(medium), re_(re), im_(im) {}

    // `count` steps from x space to x space, the first of which begins at `time`. Stops early, in x space no longer, if
    // the field is not finite or the flag is up.
    Status steps(SplittingTables<T>& tables, double time, double step, std::int64_t count, Progress& progress,
                 CancelFlag cancel) {
        build_tables(setup_, medium_.constant(), step, tables);
        tables_ = &tables;
        const auto at = [&](std::int64_t s, int i) {
            return time + (static_cast<double>(s) + program_.potential_time[i]) * step;
        };
        const int last = program_.stages - 1;
        // Often enough to stop within a moment, rarely enough to cost nothing.
        const std::int64_t look_every =
            1 + (std::int64_t{1} << 17) / static_cast<std::int64_t>(plan_.n * program_.stages);
        if (!program_.kinetic_first) flow_in_x<T, V>(plan_, flow(program_.potential_slot[0], at(0, 0)), re_, im_);
        outer_sweep<T, V, false, true>(plan_, re_, im_, NoOperation{});
        for (std::int64_t s = 0; s < count; ++s) {
            for (int i = 0; i <= last; ++i) {
                if (program_.kinetic_first) {
                    kinetic(i == 0 && s > 0 ? program_.joined_slot : program_.kinetic_slot[i]);
                    potential(program_.potential_slot[i], at(s, i));
                } else {
                    kinetic(program_.kinetic_slot[i]);
                    if (i < last) {
                        potential(program_.potential_slot[i + 1], at(s, i + 1));
                    } else if (s + 1 < count) {
                        potential(program_.joined_slot, at(s, i + 1));
                    }
                }
            }
            ++progress.steps;
            progress.transforms += 2 * program_.stages;
            if ((s + 1) % look_every == 0) {
                if (!is_finite(sum_of_squares(re_, im_, plan_.n))) return Status::not_finite;
                if (is_cancelled(cancel)) return Status::cancelled;
            }
        }
        if (program_.kinetic_first) {
            kinetic(program_.kinetic_slot[last + 1]);
            progress.transforms += 2;
        }
        outer_sweep<T, V, true, false>(plan_, re_, im_, NoOperation{});
        if (!program_.kinetic_first) {
            flow_in_x<T, V>(plan_, flow(program_.potential_slot[last + 1], at(count - 1, last + 1)), re_, im_);
        }
        if (!is_finite(sum_of_squares(re_, im_, plan_.n))) return Status::not_finite;
        return is_cancelled(cancel) ? Status::cancelled : Status::ok;
    }

private:
    void kinetic(int slot) {
        const T* table = tables_->kinetic + 2 * plan_.n * slot;
        spectral<T, V, Side::both>(plan_, {table, table + plan_.n, T(1) / static_cast<T>(plan_.n)}, re_, im_);
    }

    void potential(int slot, double time) { flow_between_transforms<T, V>(plan_, flow(slot, time), re_, im_); }

    PotentialFlow<T> flow(int slot, double time) {
        const double tau = program_.potential[slot] * tables_->step;
        const Medium<T>& now = medium_.at(time);
        const T* table = nullptr;
        if (medium_.loss_changes()) {
            table = medium_.decay(tau);
        } else if (now.loss != nullptr) {
            table = tables_->potential + 2 * plan_.n * slot;
        }
        return {now.nonlinearity, static_cast<T>(tau), now.potential, table,
                table == nullptr ? nullptr : table + plan_.n};
    }

    const Setup<T>& setup_;
    const FftPlan<T>& plan_;
    const SplittingProgram& program_;
    MediumInTime<T>& medium_;
    T* re_;
    T* im_;
    SplittingTables<T>* tables_ = nullptr;
};

template <class T>
void copy_field(const T* from, T* to, std::size_t n) {
    std::memcpy(to, from, 2 * n * sizeof(T));
}

// Of ||fine - coarse|| and ||fine||, squared and per point.
struct Doubling {
    double difference, size;
};

template <class T>
Doubling compare(const T* fine, const T* coarse, std::size_t n) {
    double difference = 0, size = 0;
#pragma omp simd reduction(+ : difference, size)
    for (std::size_t i = 0; i < 2 * n; ++i) {
        const double value = fine[i], off = value - static_cast<double>(coarse[i]);
        difference += off * off;
        size += value * value;
    }
    const double mean = 1.0 / static_cast<double>(n);
    return {difference * mean, size * mean};
}

// The fastest turn of phase in x space, the scale of the first step.
template <class T>
double largest_rate(const Medium<T>& medium, const T* re, const T* im, std::size_t n) {
    double largest = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const double intensity = static_cast<double>(re[i]) * re[i] + static_cast<double>(im[i]) * im[i];
        const double potential = medium.potential == nullptr ? 0.0 : static_cast<double>(medium.potential[i]);
        largest = std::fmax(largest, std::fabs(medium.nonlinearity) * intensity + std::fabs(potential));
    }
    return largest;
}

// Step doubling: two steps of h against one of 2h. For a scheme of order p their difference is 2^p - 1 times the local
// error of the two steps together, up to higher orders. The finer result is kept. `progress.step` is h.
template <class T, int V>
Status adaptive_splitting(const Setup<T>& setup, MediumInTime<T>& medium, const Interval& interval, Progress& progress,
                          SplittingTables<T>* tables, T* field, T* before, T* coarse, CancelFlag cancel) {
    const std::size_t n = setup.plan->n;
    const double richardson = std::pow(2.0, setup.order) - 1;
    Splitting<T, V> fine(setup, medium, field, field + n);
    Splitting<T, V> check(setup, medium, coarse, coarse + n);
    Interval doubled = interval;
    doubled.max_step = 2 * interval.max_step;
    doubled.min_step = 2 * interval.min_step;
    const double rate = largest_rate(medium.at(interval.origin + interval.t0), field, field + n, n);
    const double first = rate > 0 ? 0.1 / rate : interval.t1 - interval.t0;
    StepPlan plan(doubled, setup.order + 1, 2 * (progress.step > 0 ? progress.step : first));
    bool finite = true;
    while (!plan.done()) {
        if (plan.at_floor()) return finite ? Status::step_floor : Status::not_finite;
        copy_field(field, before, n);
        copy_field(field, coarse, n);
        const std::int64_t steps = progress.steps;
        const double time = interval.origin + plan.time();
        Status status = fine.steps(tables[0], time, plan.step() / 2, 2, progress, cancel);
        if (status == Status::ok) status = check.steps(tables[1], time, plan.step(), 1, progress, cancel);
        progress.steps = steps;
        if (status == Status::cancelled) return status;
        double ratio = HUGE_VAL;  // of the estimated error to the tolerated one
        if (status == Status::ok) {
            const Doubling found = compare(field, coarse, n);
            ratio =
                std::sqrt(found.difference) / (richardson * (interval.atol + interval.rtol * std::sqrt(found.size)));
        }
        finite = is_finite(ratio);
        if (ratio <= 1) {
            if (interval.accepted != nullptr) interval.accepted(interval.accepted_context, plan.step() / 2, 2);
            plan.accepted(ratio);
            progress.steps += 2;
            progress.time = plan.time();
        } else {
            plan.rejected(ratio);
            progress.rejected += 2;
            copy_field(before, field, n);
        }
        progress.step = plan.proposal() / 2;
    }
    return Status::ok;
}

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
