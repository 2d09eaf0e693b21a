// Derivatives of a real function of the saved states: what the kernels of the discrete adjoint see and offer.
//
// The cotangent of a field is lambda = dL/dRe psi + i dL/dIm psi, which is what torch calls the gradient. Through a
// step it goes backwards, flow by flow:
//   kinetic     psi' = F^-1 d F psi:  lambda = F^-1 conj(d) F lambda',  dL/d omega_k += (tau/n) Im(conj(F lambda') F
//   psi') potential   psi' = psi a exp(i theta), a = exp(-gamma tau), theta = g |psi|^2 l - tau V:
//               mu = a exp(-i theta) lambda',  s = Im(conj(psi) mu),  r = Re(conj(psi) mu)
//               lambda = mu + 2 g l s psi
//               dL/dV -= tau s,  dL/dg += l |psi|^2 s,  dL/d gamma += g |psi|^2 (dl/d gamma) s - tau r
// The fields psi that this needs come from running the steps backwards (without loss and filter every flow has an
// inverse), or from a record of a forward run over a few steps.
#pragma once

#include "nlse/setup.hpp"

namespace fourfold::nlse {

// Where the derivatives of one realisation are added up. Null: not wanted. For a part that is a series in time, `rows`
// and `coefficients` instead of the array of the part.
struct SeriesSums {
    double* rows;          // [terms][length]
    double* coefficients;  // [pieces of all terms][4]
};
struct Sensitivities {
    double* nonlinearity;  // [1]
    double* potential;     // [n]
    double* loss;          // [n]
    double* omega;         // [n], FFT order
    SeriesSums nonlinearity_in_time, potential_in_time, loss_in_time;
};

// `count` steps of one realisation, the first of which begins at `time`: those from number `first` on of a run of
// `total` equal steps. Between two steps the kinetic flows of an ABA scheme are joined, except after each `unit` steps,
// where the run went through x space; that makes a difference to a filter, which acts once or twice. A task that does
// not begin the run begins behind the flow between two steps, and one that does not end it ends behind such a flow.
template <class T>
struct AdjointTask {
    const Setup<T>* setup;
    const Medium<T>* medium;
    const Sensitivities* sums;
    double time, step;
    std::int64_t count, first, total, unit;
};

template <class T>
struct AdjointKernels {
    std::size_t (*worker)(const Setup<T>&);                       // memory of a worker, in numbers of T, zeroed once
    std::size_t (*records)(const Setup<T>&, std::int64_t count);  // numbers of T that so many steps leave behind
    // lambda[2 n] from the end of the steps to their beginning, along the fields that lead back from psi_end[2 n].
    // `error`: how far off psi_start[2 n] they arrive, relative in the 2-norm.
    Status (*reverse)(const AdjointTask<T>&, const T* psi_end, const T* psi_start, T* lambda, T* worker, CancelFlag,
                      double& error);
    // psi[2 n] from the beginning of the steps to their end.
    Status (*replay)(const AdjointTask<T>&, T* psi, T* worker, CancelFlag);
    // lambda[2 n] from the end to the beginning along the fields of a forward run from psi_start[2 n], which are left
    // in `records`. `error`: how far off psi_end[2 n] that run ends; 0 where psi_end is null.
    Status (*recorded)(const AdjointTask<T>&, const T* psi_start, const T* psi_end, T* lambda, T* records, T* worker,
                       CancelFlag, double& error);
};

template <class T>
const AdjointKernels<T>& adjoint_kernels();  // of the ISA level in use

}  // namespace fourfold::nlse
