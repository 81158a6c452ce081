# cmake -DIN=FILE -DOUT=FILE -P embed.cmake: the bytes of IN as the inside of a C array,
# and a zero behind them so that an empty file is an array too.
file(READ "${IN}" hex HEX)
string(REGEX REPLACE "(..)" "0x\\1," hex "${hex}")
string(REGEX REPLACE "(................................................................................)" "\\1\n" hex "${hex}")
file(WRITE "${OUT}" "${hex}0\n")
