@echo off
rem Installs therapyeval into the folder .venv beside this file. It asks nothing of a network, needs no
rem administrator, activates nothing and uses no launcher.
rem Usage: install.cmd [path of python.exe]
setlocal
cd /d "%~dp0"
if errorlevel 1 (
    echo Copy this folder to a drive of this machine first, such as C:\therapyeval.
    exit /b 1
)
set "PYTHON=%~1"
if not defined PYTHON set "PYTHON=python"

"%PYTHON%" -c "import sys; v = sys.version_info; sys.exit(not (v[:2] in (@SERIES@,) and v[:3] >= (@FIRST@) and sys.maxsize > 2**32))"
if errorlevel 1 (
    echo therapyeval needs 64-bit Python @PYTHONS@ ^(@OLDEST@ or newer^), and "%PYTHON%" is not that.
    echo Ask your IT department for it, then run: install.cmd C:\path\to\python.exe
    exit /b 1
)
"%PYTHON%" -m venv .venv
if errorlevel 1 goto failed
.venv\Scripts\python -m pip install --disable-pip-version-check --no-index --find-links wheels -c constraints.txt therapyeval[app]
if errorlevel 1 goto failed
.venv\Scripts\python -m therapyeval --version
if errorlevel 1 goto failed
echo Installed. Next: report.cmd makes a sample report, explore.cmd opens the workbench.
exit /b 0

:failed
echo The installation did not finish. Nothing outside "%~dp0" was changed. See README.txt, "If it does not work".
exit /b 1
