// The discrete adjoint of the splittings. Compiled once per ISA level; only the two tables at the end are visible
// outside. The sweeps of the transform are those of kernels.cpp.
#include "nlse/adjoint_flows.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {

extern const Kernels<float> kernels_float;
extern const Kernels<double> kernels_double;

namespace {

template <class T>
const Kernels<T>& own_kernels();
template <>
const Kernels<float>& own_kernels<float>() {
    return kernels_float;
}
template <>
const Kernels<double>& own_kernels<double>() {
    return kernels_double;
}

template <class T>
inline constexpr std::size_t kAdjointHeader = 256 / sizeof(T);

// What the tables in a worker's memory belong to. At the head of that memory.
struct TableKeys {
    double step;  // 0: not built
    const void* loss;
};

// Steps after which sums in T move to double.
inline constexpr std::int64_t kMoveEvery = 32;

// One flow of a run of steps: a kinetic one (its slot, or -1: none) and the potential one that follows it.
struct FlowPair {
    int kinetic, potential;
    double time;
};

template <class T>
class Adjoint {
public:
    Adjoint(const AdjointTask<T>& task, T* worker)
        : task_(task),
          setup_(*task.setup),
          program_(task.setup->program),
          n_(task.setup->plan->n),
          stride_(array_stride<T>(n_)),
          ops_(own_kernels<T>().ops(task.setup->plan->lanes)),
          medium_(*task.setup, *task.medium, worker + kAdjointHeader<T>) {
        T* next = worker + kAdjointHeader<T> + medium_scratch_count(setup_);
        Carver<T> carve{next, stride_};
        psi_ = carve.field();
        lambda_ = carve.field();
        spare_ = carve.field();
        const Field<T> a = carve.field(), b = carve.field(), c = carve.field();
        const Sensitivities& sums = *task.sums;
        sum_potential_ = sums.potential != nullptr || wanted(sums.potential_in_time) ? a.re : nullptr;
        sum_nonlinearity_ = sums.nonlinearity != nullptr || wanted(sums.nonlinearity_in_time) ? a.im : nullptr;
        sum_loss_ = sums.loss != nullptr || wanted(sums.loss_in_time) ? b.re : nullptr;
        sum_omega_ = sums.omega != nullptr ? b.im : nullptr;
        slope_now_ = c.re;
        filter_twice_ = c.im;
        forward_tables_ = carve.next;
        backward_tables_ = forward_tables_ + 2 * n_ * (program_.kinetic_slots + 1);
        loss_tables_ = backward_tables_ + 2 * n_ * (program_.kinetic_slots + 1);
        build_tables(*reinterpret_cast<TableKeys*>(worker));
    }

    static std::size_t worker_count(const Setup<T>& setup) {
        const std::size_t n = setup.plan->n;
        return kAdjointHeader<T> + medium_scratch_count(setup) + 12 * array_stride<T>(n) +
               4 * n * (setup.program.kinetic_slots + 1) + (setup.lossy ? 3 * n * setup.program.potential_slots : 0);
    }

    static std::size_t record_count(const Setup<T>& setup, std::int64_t count) {
        const std::size_t fields = static_cast<std::size_t>(count) * setup.program.stages + 2;
        return 2 * fields * array_stride<T>(setup.plan->n);
    }

    Status reverse(const T* psi_end, const T* psi_start, T* lambda, CancelFlag cancel, double& error) {
        split(psi_end, psi_.re, psi_.im, n_);
        split(lambda, lambda_.re, lambda_.im, n_);
        const Status status = backwards<false>(nullptr, cancel);
        interleave(lambda_.re, lambda_.im, lambda, n_);
        error = distance(psi_start);
        return status;
    }

    Status replay(T* psi, CancelFlag cancel) {
        split(psi, psi_.re, psi_.im, n_);
        const Status status = forwards(nullptr, cancel);
        interleave(psi_.re, psi_.im, psi, n_);
        return status;
    }

    Status recorded(const T* psi_start, const T* psi_end, T* lambda, T* records, CancelFlag cancel, double& error) {
        split(psi_start, psi_.re, psi_.im, n_);
        Status status = forwards(records, cancel);
        if (status != Status::ok) return status;
        error = psi_end == nullptr ? 0.0 : distance(psi_end);
        split(lambda, lambda_.re, lambda_.im, n_);
        status = backwards<true>(records, cancel);
        interleave(lambda_.re, lambda_.im, lambda, n_);
        return status;
    }

private:
    static constexpr std::int64_t kCancelEvery = 64;

    // Of psi_ from a state, relative in the 2-norm.
    double distance(const T* state) const {
        split(state, spare_.re, spare_.im, n_);
        const double size = sum_of_squares(spare_, n_), off = sum_of_squared_differences(psi_, spare_, n_);
        return off == 0 ? 0.0 : std::sqrt(off / size);
    }

    static bool wanted(const SeriesSums& sums) { return sums.rows != nullptr || sums.coefficients != nullptr; }

    void build_tables(TableKeys& keys) {
        const T* loss = task_.medium->loss;
        if (keys.step != task_.step) {
            build_kinetic_tables(setup_, task_.step, forward_tables_);
            build_kinetic_tables(setup_, -task_.step, backward_tables_);
            if (program_.kinetic_first) build_twice_tables();
        }
        if (loss != nullptr && (keys.step != task_.step || keys.loss != loss)) {
            for (int slot = 0; slot < program_.potential_slots; ++slot) {
                T* table = loss_tables_ + 3 * n_ * slot;
                const double tau = program_.potential[slot] * task_.step;
                decay_table(loss, tau, table, table + n_, n_);
                slope_table(loss, tau, table + 2 * n_, n_);
            }
        }
        keys = {task_.step, loss};
    }

    // The slot of two kinetic flows in a row, with the filter of both.
    int twice_slot() const { return program_.kinetic_slots; }

    void build_twice_tables() {
        const T* filter = setup_.filter;
        if (filter != nullptr) {
            for (std::size_t i = 0; i < n_; ++i) filter_twice_[i] = filter[i] * filter[i];
            filter = filter_twice_;
        }
        const double tau = kinetic_duration(twice_slot()) * task_.step;
        build_kinetic_table(setup_, tau, filter, forward_tables_ + 2 * n_ * twice_slot());
        build_kinetic_table(setup_, -tau, filter, backward_tables_ + 2 * n_ * twice_slot());
    }

    double kinetic_duration(int slot) const {
        return program_.kinetic[slot == twice_slot() ? program_.joined_slot : slot];
    }

    // Of an ABA scheme: the slot of the kinetic flow before step s of the task (after the last one, for s = count), or
    // -1 where it belongs to the task before.
    int between(std::int64_t s) const {
        const std::int64_t number = task_.first + s;
        if (number == 0) return program_.kinetic_slot[0];
        if (number == task_.total) return program_.kinetic_slot[program_.stages];
        if (s == 0) return -1;
        return number % task_.unit == 0 ? twice_slot() : program_.joined_slot;
    }

    // Potential flows of the task. Before each but the first of a BAB scheme there is a kinetic one; after the last of
    // an ABA scheme there is one more.
    std::int64_t flows() const { return task_.count * program_.stages + (program_.kinetic_first ? 0 : 1); }

    FlowPair flow(std::int64_t p) const {
        if (p == 0 && !program_.kinetic_first) return {-1, program_.potential_slot[0], at(0, 0)};
        const std::int64_t q = program_.kinetic_first ? p : p - 1;
        const std::int64_t s = q / program_.stages;
        const int i = static_cast<int>(q % program_.stages);
        if (program_.kinetic_first) {
            return {i == 0 ? between(s) : program_.kinetic_slot[i], program_.potential_slot[i], at(s, i)};
        }
        const bool joined = i + 1 == program_.stages && s + 1 < task_.count;
        return {program_.kinetic_slot[i], joined ? program_.joined_slot : program_.potential_slot[i + 1], at(s, i + 1)};
    }

    double at(std::int64_t s, int i) const {
        return task_.time + (static_cast<double>(s) + program_.potential_time[i]) * task_.step;
    }

    Field<T> record(T* records, std::int64_t p) const {
        T* re = records + 2 * stride_ * static_cast<std::size_t>(p);
        return {re, re + stride_};
    }

    void kinetic(const T* tables, int slot, Field<T> z) const {
        ops_.outer_forward(*setup_.plan, z.re, z.im);
        ops_.kinetic(*setup_.plan, tables + 2 * n_ * slot, z.re, z.im);
        ops_.outer_inverse(*setup_.plan, z.re, z.im);
    }

    void spectrum(Field<T> z) const {
        ops_.outer_forward(*setup_.plan, z.re, z.im);
        ops_.inner_forward(*setup_.plan, z.re, z.im);
    }

    void turn_back(int slot, Field<T> z) const {
        turn_spectrum(backward_tables_ + 2 * n_ * slot, z, n_);
        ops_.inner_inverse(*setup_.plan, z.re, z.im);
        ops_.outer_inverse(*setup_.plan, z.re, z.im);
    }

    // `after`: the field behind the flow, where it is on record.
    template <bool Recorded>
    void kinetic_back(int slot, Field<T> after) {
        if (sum_omega_ == nullptr) {
            kinetic(backward_tables_, slot, lambda_);
            if constexpr (!Recorded) kinetic(backward_tables_, slot, psi_);
            return;
        }
        const Field<T> psi = Recorded ? spare_ : psi_;
        if constexpr (Recorded) copy(after, psi, n_);
        spectrum(psi);
        spectrum(lambda_);
        const double tau = kinetic_duration(slot) * task_.step;
        add_dispersion(static_cast<T>(tau / static_cast<double>(n_)), psi, lambda_, sum_omega_, n_);
        turn_back(slot, lambda_);
        if constexpr (!Recorded) turn_back(slot, psi_);
    }

    AdjointFlow<T> potential(const FlowPair& pair) {
        const double tau = program_.potential[pair.potential] * task_.step;
        const Medium<T>& now = medium_.at(pair.time);
        AdjointFlow<T> f{now.nonlinearity, static_cast<T>(tau), now.potential,     nullptr,  nullptr,
                         nullptr,          sum_potential_,      sum_nonlinearity_, sum_loss_};
        if (medium_.loss_changes()) {
            f.amplitude = medium_.decay(tau);
            f.effective_time = f.amplitude + n_;
            if (sum_loss_ != nullptr) slope_table(now.loss, tau, slope_now_, n_);
            f.time_slope = slope_now_;
        } else if (now.loss != nullptr) {
            f.amplitude = loss_tables_ + 3 * n_ * pair.potential;
            f.effective_time = f.amplitude + n_;
            f.time_slope = f.amplitude + 2 * n_;
        }
        return f;
    }

    // psi_ through the task; `records`, if any, get it before each potential flow and at the end.
    Status forwards(T* records, CancelFlag cancel) {
        for (std::int64_t p = 0; p < flows(); ++p) {
            const FlowPair pair = flow(p);
            if (pair.kinetic >= 0) kinetic(forward_tables_, pair.kinetic, psi_);
            if (records != nullptr) copy(psi_, record(records, p), n_);
            const AdjointFlow<T> f = potential(pair);
            potential_flow(PotentialFlow<T>{f.nonlinearity, f.tau, f.potential, f.amplitude, f.effective_time}, psi_,
                           n_);
            if (p % kCancelEvery == 0 && is_cancelled(cancel)) return Status::cancelled;
        }
        if (program_.kinetic_first) kinetic(forward_tables_, between(task_.count), psi_);
        if (records != nullptr) copy(psi_, record(records, flows()), n_);
        return Status::ok;
    }

    template <bool Recorded>
    Status backwards(T* records, CancelFlag cancel) {
        const std::int64_t last = flows();
        if (program_.kinetic_first) {
            kinetic_back<Recorded>(between(task_.count), Recorded ? record(records, last) : psi_);
        }
        for (std::int64_t p = last - 1; p >= 0; --p) {
            const FlowPair pair = flow(p);
            const Field<T> psi = Recorded ? record(records, p) : psi_;
            adjoint_flow<T, Recorded>(potential(pair), psi, lambda_, n_);
            collect_series();
            if (pair.kinetic >= 0) kinetic_back<Recorded>(pair.kinetic, psi);
            if (p % (kMoveEvery * program_.stages) == 0) {
                move();
                if (is_cancelled(cancel)) return Status::cancelled;
            }
        }
        return Status::ok;
    }

    // From the sums of single flows to the derivatives by rows and factors.
    void collect_series() {
        const Sensitivities& sums = *task_.sums;
        if (wanted(sums.nonlinearity_in_time)) {
            T whole = static_cast<T>(total(sum_nonlinearity_, n_));
            std::fill(sum_nonlinearity_, sum_nonlinearity_ + n_, T(0));
            collect(*setup_.nonlinearity_in_time, sums.nonlinearity_in_time, &whole);
        }
        if (wanted(sums.potential_in_time)) {
            collect(*setup_.potential_in_time, sums.potential_in_time, sum_potential_);
        }
        if (wanted(sums.loss_in_time)) collect(*setup_.loss_in_time, sums.loss_in_time, sum_loss_);
    }

    void collect(const InTime<T>& part, const SeriesSums& sums, T* values) {
        const double* factor = medium_.factors(part);
        const double time = medium_.time();
        const T* row = part.rows + task_.medium->realisation * part.realisation_stride;
        double* coefficients = sums.coefficients;
        for (std::size_t j = 0; j < part.terms; ++j, row += part.term_stride) {
            if (sums.rows != nullptr) {
                double* out = sums.rows + j * part.length;
                for (std::size_t i = 0; i < part.length; ++i) out[i] += factor[j] * static_cast<double>(values[i]);
            }
            if (coefficients != nullptr) {
                double product = 0;
                for (std::size_t i = 0; i < part.length; ++i) {
                    product += static_cast<double>(row[i]) * static_cast<double>(values[i]);
                }
                const std::size_t piece = piece_at(part.factors[j], time);
                const double s = time - part.factors[j].knots[piece];
                for (int q = 0; q < 4; ++q, product *= s) coefficients[4 * piece + q] += product;
                coefficients += 4 * part.factors[j].pieces;
            }
        }
        std::fill(values, values + part.length, T(0));
    }

    void move() {
        const Sensitivities& sums = *task_.sums;
        if (sums.potential != nullptr) move_sums(sum_potential_, sums.potential, n_);
        if (sums.loss != nullptr) move_sums(sum_loss_, sums.loss, n_);
        if (sums.nonlinearity != nullptr) {
            *sums.nonlinearity += total(sum_nonlinearity_, n_);
            std::fill(sum_nonlinearity_, sum_nonlinearity_ + n_, T(0));
        }
        if (sums.omega != nullptr) {
            for (std::size_t i = 0; i < n_; ++i) {
                sums.omega[setup_.plan->index[i]] += static_cast<double>(sum_omega_[i]);
                sum_omega_[i] = 0;
            }
        }
    }

    const AdjointTask<T>& task_;
    const Setup<T>& setup_;
    const SplittingProgram& program_;
    std::size_t n_, stride_;
    FieldOps<T> ops_;
    MediumInTime<T> medium_;
    Field<T> psi_, lambda_, spare_;
    T *sum_potential_, *sum_nonlinearity_, *sum_loss_, *sum_omega_;  // [n] each, zero between calls
    T *slope_now_, *filter_twice_;
    T *forward_tables_, *backward_tables_;  // [kinetic slot][2][n], see SplittingTables
    T* loss_tables_;                        // [potential slot][3][n]: amplitude, effective time, its slope
};

template <class T>
Status reverse(const AdjointTask<T>& task, const T* psi_end, const T* psi_start, T* lambda, T* worker,
               CancelFlag cancel, double& error) {
    return Adjoint<T>(task, worker).reverse(psi_end, psi_start, lambda, cancel, error);
}
template <class T>
Status replay(const AdjointTask<T>& task, T* psi, T* worker, CancelFlag cancel) {
    return Adjoint<T>(task, worker).replay(psi, cancel);
}
template <class T>
Status recorded(const AdjointTask<T>& task, const T* psi_start, const T* psi_end, T* lambda, T* records, T* worker,
                CancelFlag cancel, double& error) {
    return Adjoint<T>(task, worker).recorded(psi_start, psi_end, lambda, records, cancel, error);
}
template <class T>
std::size_t worker_count(const Setup<T>& setup) {
    return Adjoint<T>::worker_count(setup);
}
template <class T>
std::size_t record_count(const Setup<T>& setup, std::int64_t count) {
    return Adjoint<T>::record_count(setup, count);
}

}  // namespace

extern const AdjointKernels<float> adjoint_kernels_float;
extern const AdjointKernels<double> adjoint_kernels_double;
const AdjointKernels<float> adjoint_kernels_float = {worker_count<float>, record_count<float>, reverse<float>,
                                                     replay<float>, recorded<float>};
const AdjointKernels<double> adjoint_kernels_double = {worker_count<double>, record_count<double>, reverse<double>,
                                                       replay<double>, recorded<double>};

}  // namespace fourfold::nlse::FOURFOLD_LEVEL
