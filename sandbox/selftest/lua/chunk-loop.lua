-- before any record: while the file itself runs
while true do end
