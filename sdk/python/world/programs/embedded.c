/* A program that embeds Python: it takes a seat on a thread that is not Python's main thread, and finalizes. */
#include <Python.h>
#include <pthread.h>
#include <stdio.h>

static const char *take =
    "import sys\n"
    "from coditect_license import LicenseClient\n"
    "client = LicenseClient()\n"
    "seat = client.seat()\n"
    "print(seat.state.value, flush=True)\n";

static void *work(void *result) {
  PyGILState_STATE state = PyGILState_Ensure();
  *(int *)result = PyRun_SimpleString(take);
  PyGILState_Release(state);
  return NULL;
}

int main(int argc, char **argv) {
  int result = -1;
  pthread_t thread;
  PyConfig config;
  PyConfig_InitPythonConfig(&config);
  /* argv[1] is the Python whose packages are used. */
  PyStatus status = PyConfig_SetBytesString(&config, &config.executable, argv[argc - 1]);
  if (!PyStatus_Exception(status)) status = Py_InitializeFromConfig(&config);
  PyConfig_Clear(&config);
  if (PyStatus_Exception(status)) Py_ExitStatusException(status);
  PyThreadState *main_thread = PyEval_SaveThread();
  if (pthread_create(&thread, NULL, work, &result) != 0 || pthread_join(thread, NULL) != 0) return 3;
  PyEval_RestoreThread(main_thread);
  if (Py_FinalizeEx() < 0) return 4;
  return result == 0 ? 0 : 5;
}
