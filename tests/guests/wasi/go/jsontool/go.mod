module jsontool

go 1.21
