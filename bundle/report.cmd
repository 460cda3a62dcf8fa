@echo off
rem Makes a report. Without arguments: the sample pilot report, which then opens.
rem With arguments: they go to the command, such as
rem     report.cmd pilot_study --data C:\my\data -p protocol=C:\my\data\pilot.yml --out C:\my\reports
setlocal
set "HERE=%~dp0"
if not exist "%HERE%.venv\Scripts\python.exe" (
    echo Run install.cmd first.
    exit /b 1
)
if not "%~1"=="" (
    "%HERE%.venv\Scripts\python" -m therapyeval report %*
    exit /b
)
"%HERE%.venv\Scripts\python" -m therapyeval report pilot_study --data "%HERE%samples\stroke_recovery" -p "protocol=%HERE%samples\stroke_recovery\pilot.yml" --out "%HERE%out"
if errorlevel 1 exit /b
start "" "%HERE%out\pilot_study-stroke_recovery-pilot\report.html"
