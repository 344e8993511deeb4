<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="en_GB" sourcelanguage="en_GB">
<context>
    <name>ConnectPanel</name>
    <message numerus="yes">
        <source>It works: %n table(s) can be read.</source>
        <translation><numerusform>It works: %n table can be read.</numerusform><numerusform>It works: %n tables can be read.</numerusform></translation>
    </message>
</context>
<context>
    <name>DataPage</name>
    <message numerus="yes">
        <source>%n column(s)</source>
        <translation><numerusform>%n column</numerusform><numerusform>%n columns</numerusform></translation>
    </message>
</context>
<context>
    <name>RowsBrowser</name>
    <message numerus="yes">
        <source>It has %n column(s), and nothing in them to learn from.</source>
        <translation><numerusform>It has %n column, and nothing in it to learn from.</numerusform><numerusform>It has %n columns, and nothing in them to learn from.</numerusform></translation>
    </message>
</context>
<context>
    <name>PreparePage</name>
    <message numerus="yes">
        <source>Change %n selected</source>
        <translation><numerusform>Change %n selected</numerusform><numerusform>Change %n selected</numerusform></translation>
    </message>
</context>
<context>
    <name>TrainPage</name>
    <message numerus="yes">
        <source>Train %n model(s)</source>
        <translation><numerusform>Train %n model</numerusform><numerusform>Train %n models</numerusform></translation>
    </message>
</context>
<context>
    <name>TuningDialog</name>
    <message numerus="yes">
        <source>%n trial(s)</source>
        <translation><numerusform>%n trial</numerusform><numerusform>%n trials</numerusform></translation>
    </message>
    <message numerus="yes">
        <source>Finished: %n trial(s).</source>
        <translation><numerusform>Finished: %n trial.</numerusform><numerusform>Finished: %n trials.</numerusform></translation>
    </message>
</context>
<context>
    <name>Tray</name>
    <message numerus="yes">
        <source>%n job(s) waiting</source>
        <translation><numerusform>%n job waiting</numerusform><numerusform>%n jobs waiting</numerusform></translation>
    </message>
</context>
</TS>
