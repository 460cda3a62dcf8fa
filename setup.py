"""Everything is declared in pyproject.toml, but for one step: a wheel also carries top-level folders.

setuptools takes data only from inside a package, and copies or links in the repository would go stale.
An editable install copies nothing: there the folders are found where they are (`parameters.shipped_folder`).
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# Data are named one by one: people put raw files beside a mapping, and those must never get into a wheel.
SHIPPED = ("templates/*.toml", "templates/*.ipynb", "notebooks/*.ipynb", "data_samples/*.md", "data_samples/*/*.md",
           "data_samples/*/*.yml", "data_samples/harbor_rehab/*.parquet", "data_samples/harbor_rehab/truth.json",
           "data_samples/stroke_recovery/stroke.wide.csv", "data_samples/kutner_rehab/RehabilitationTherapy.csv")


class BuildWithFolders(build_py):
    """Copies what is SHIPPED into the package that is being built."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for source in sorted(path for pattern in SHIPPED for path in Path().glob(pattern)):
                target = Path(self.build_lib, "therapyeval", source)
                self.mkpath(str(target.parent))
                self.copy_file(str(source), str(target))


setup(cmdclass={"build_py": BuildWithFolders})
