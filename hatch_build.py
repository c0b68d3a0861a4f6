"""Puts machine code into wheels, if the environment variable FASTGMM_MACHINE_CODE is 1.

The kernels are compiled with the Numba of the build environment, for those levels of
`fastgmm.jit.shipped` that this machine can run. Such a wheel is made for one version of Python and
one system. Without the variable a wheel is pure Python, and building it compiles nothing.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class MachineCode(BuildHookInterface):
    """The build hook that hatchling calls for a wheel."""

    PLUGIN_NAME = "custom"
    folder = None

    def _is_asked_for(self):
        return self.target_name == "wheel" and os.environ.get("FASTGMM_MACHINE_CODE") == "1"

    def dependencies(self):
        """Return what the build environment must have."""
        return self.metadata.core.dependencies if self._is_asked_for() else []

    def initialize(self, version, build_data):
        """Compile all kernels for each level and add the files to the wheel."""
        if not self._is_asked_for() or version == "editable":
            return
        self.folder = Path(tempfile.mkdtemp())
        levels = self._levels()
        running = [self._compile(level) for level in levels]  # side by side
        for level, process in zip(levels, running, strict=True):
            if process.wait() != 0:
                raise RuntimeError(f"the kernels cannot be compiled for {level.processor}")
        for path in sorted(self.folder.rglob("*.nbc")):
            build_data["force_include"][str(path)] = f"fastgmm/machine_code/{path.name}"
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version, build_data, artifact_path):
        """Remove the files that the wheel now holds."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _levels(self):
        """Return the levels that this machine can run."""
        from llvmlite import binding

        sys.path.insert(0, self.root)
        from fastgmm.jit.shipped import LEVELS

        triple, has = binding.get_process_triple(), binding.get_host_cpu_features().flatten()
        levels = [level for level in LEVELS if level._replace(wider="").suits(triple, has)]
        for level in set(LEVELS) - set(levels):
            self.app.display_info(f"no machine code for {level.processor}: this is no such machine")
        return levels

    def _compile(self, level):
        """Start to compile all kernels for a level."""
        self.app.display_info(f"compiling the kernels for {level.processor}")
        environment = {
            **os.environ,
            "NUMBA_CACHE_DIR": str(self.folder / level.processor),
            "NUMBA_CPU_NAME": level.processor,
            "NUMBA_CPU_FEATURES": level.features,
            "PYTHONPATH": self.root,
        }
        program = "import fastgmm; fastgmm.precompile()"
        return subprocess.Popen([sys.executable, "-c", program], env=environment, cwd=self.folder)
