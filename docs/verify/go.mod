module incamera.example/verify

go 1.27

require golang.org/x/mod v0.36.0
