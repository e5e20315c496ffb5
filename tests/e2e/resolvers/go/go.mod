module seaway.dev/gone

go 1.22
