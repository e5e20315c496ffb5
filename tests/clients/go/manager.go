package main

var managerChecks = []Check{}
