@echo off
rem Opens the workbench in the browser, on this machine only. Without an argument: the sample data.
rem Usage: explore.cmd [folder with the data]
setlocal
set "HERE=%~dp0"
if not exist "%HERE%.venv\Scripts\python.exe" (
    echo Run install.cmd first.
    exit /b 1
)
set "DATA=%~1"
if not defined DATA set "DATA=%HERE%samples\harbor_rehab"
if "%DATA:~-1%"=="\" set "DATA=%DATA:~0,-1%"
"%HERE%.venv\Scripts\python" -m therapyeval explore "%DATA%"
