// The global interpreter lock and signals, for calls that compute for long.
#pragma once

#include <pybind11/pybind11.h>

namespace fourfold {

// Lets other Python threads run while this one computes. Unlike py::gil_scoped_release it does not abort the process
// when the interpreter ends under a daemon thread: up to CPython 3.13 taking the lock back then unwinds the thread,
// from inside this destructor.
class GilReleased {
public:
    GilReleased() : state_(PyEval_SaveThread()) {}
    ~GilReleased() noexcept(false) { PyEval_RestoreThread(state_); }
    GilReleased(const GilReleased&) = delete;
    GilReleased& operator=(const GilReleased&) = delete;

private:
    PyThreadState* state_;
};

// To be made before the lock is released and asked now and then from the same thread: true once the handler of a
// signal has raised its exception. Python runs handlers on its main thread, so other threads need not ask, and must
// not at the end of the interpreter.
class Signals {
public:
    Signals() {
        namespace py = pybind11;
        const py::module_ threading = py::module_::import("threading");
        const py::object main = threading.attr("main_thread")().attr("ident");
        on_main_thread_ = main.equal(threading.attr("get_ident")());
    }
    bool arrived() const {
        if (!on_main_thread_) return false;
        const pybind11::gil_scoped_acquire gil;
        return PyErr_CheckSignals() != 0;
    }

private:
    bool on_main_thread_;
};

}  // namespace fourfold
